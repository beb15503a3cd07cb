"""The notebook's markers: a story as `<sos> line <nl> line <eos>`, where the markers are ordinary text."""

START, NEWLINE, END = "<sos> ", " <nl> ", " <eos>"


def add_markers(text: str) -> str:
    """The story as the notebook's model sees it."""
    return START + NEWLINE.join(text.split("\n")) + END


def story_mask(text: str) -> list[bool]:
    """For each character of `add_markers(text)`: whether it is part of the story rather than of a marker."""
    mask = [False] * len(START)
    for number, line in enumerate(text.split("\n")):
        mask += [False] * (len(NEWLINE) if number else 0) + [True] * len(line)
    return mask + [False] * len(END)
