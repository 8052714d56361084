"""A folder of YAML files → one tree of text, each value with its place."""
