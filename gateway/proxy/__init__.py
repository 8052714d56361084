"""Both doors of the data path: clients' connections, upstreams' connections, and what passes between them.

A request's way: `client.py` (parse, ask the gate) → `pool.py` (find a connection) → `upstream.py` (send, answer).
"""
