"""What services answer."""

from corpus.http.answers import framing, heads, late

CASES = {
    f"{room.__name__.rpartition('.')[2]}: {case.name}": case for room in (framing, heads, late) for case in room.CASES
}
