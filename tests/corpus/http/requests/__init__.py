"""What clients send."""

from corpus.http.requests import chunks, fields, framing, hops, hosts, late, lines, sequences

CASES = {
    f"{room.__name__.rpartition('.')[2]}: {case.name}": case
    for room in (framing, chunks, lines, fields, hosts, hops, sequences, late)
    for case in room.CASES
}
