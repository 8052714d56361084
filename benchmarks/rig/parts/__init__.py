"""The parts of the field, each a module with `measure(stage, options)`, which gives tables."""
