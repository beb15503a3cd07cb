"""Where stories begin: chosen by the stories that a cut makes, with a question if two ways are equally good."""

import itertools
import random
import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabula.corpus.blocks import Block
from fabula.corpus.formats.base import ReadingLog
from fabula.corpus.read import StorySource, open_stories
from fabula.corpus.splitting.choose import ReadSample, choose_split
from fabula.corpus.splitting.cut import cut_blocks
from fabula.corpus.splitting.headings import CHAPTER, NUMERAL, PART, TITLE, find_heading, roman_value
from fabula.corpus.splitting.markers import find_markers, with_newlines
from fabula.corpus.splitting.pages import unwrap, without_gutenberg, without_pages
from fabula.corpus.splitting.split import Split
from fabula.corpus.splitting.wrapping import wrap_width
from fabula.errors import FabulaError

SENTENCES = """The tide came in before the boats did. Nobody had lit the lamp that night. Old Marl counted the gulls twice and
found one too many. There was a chair on the quay with a coat on it. The bell rang once more than the hour. A woman bought bread
for three and ate it alone. The ferryman whistled, and his dog answered from the other side. Snow lay on the nets until
March. The parson wrote a letter to the sea and got an answer. His sister kept the key in a jar of salt. They painted the
door green, and then the window. It smelled of tar and apples all that week. The stranger asked which year it was, thanked them, and
left. By noon the whole street knew of it. The cat came home with a silver ring. Even the clock stopped to listen."""
SENTENCES = [sentence.strip() + "." for sentence in " ".join(SENTENCES.split()).rstrip(".").split(". ")]
TITLES = [
    "The Lamp",
    "Boots",
    "Slack Water",
    "Low Bread",
    "The Pump",
    "Nine Steps",
    "Salt",
    "Ebb",
    "The Ferry",
    "Herring Sunday",
]


def paragraph(chance: random.Random, speech: bool) -> str:
    text = " ".join(chance.sample(SENTENCES, chance.randint(2, 5)))
    return f"“{text[:-1]},” she said." if speech else text


def make_stories(number: int, seed: int = 0) -> list[list[str]]:
    """Stories as lists of paragraphs, a third of them speech."""
    chance = random.Random(seed)
    return [
        [paragraph(chance, place % 3 == 2) for place in range(chance.randint(6, 10))] for _ in range(number)
    ]


STORIES = make_stories(10)


def source_of(folder: Path, text: str, **options: str) -> StorySource:
    (folder / "a.txt").write_text(text, encoding="utf-8")
    return open_stories(folder / "a.txt", **options)


def starts(source: StorySource) -> list[str]:
    return [story.text[:25] for story in source]


WANTED = [story[0][:25] for story in STORIES]
FLAT = [" ".join(story) for story in STORIES]
BLANK = ["\n\n".join(story) for story in STORIES]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(FLAT),
        "\n\n".join(FLAT),
        "\n\n\n\n".join(BLANK),
        "\n\n* * *\n\n".join(BLANK),
        "\n=====\n".join(BLANK),
        "\n\n⁂\n\n".join(BLANK),
        "\nNEXT STORY\n".join(BLANK),
        "".join(f"START\n{text}\nEND\n\n" for text in BLANK),
        "".join(f"[STORY START]\n{text}\n[STORY END]\n" for text in BLANK),
        "".join(f"<STORY {number}>\n{text}\n</STORY {number}>\n" for number, text in enumerate(BLANK)),
        "\n\n".join(f"{title} (1{number}2 words)\n\n{text}" for number, (title, text) in enumerate(zip(TITLES, BLANK, strict=True))),
        "\n\n".join(f"“{title}”\n\n{text}" for title, text in zip(TITLES, BLANK, strict=True)),
        "\n\n".join(f"{title.upper()}. {text}" for title, text in zip(["The Pump", *TITLES[1:4], "The Lamp", *TITLES[5:]], BLANK, strict=True)),
        "\n\n\n".join(f"2021-03-{number}\n\n{text}" for number, text in enumerate(BLANK, 1)),
        "\n\n".join(f"{number} марта 2024 г.\n\n{text}" for number, text in enumerate(BLANK, 3)),
        "\n\n".join(f"lunes, {number} de mayo de 2024\n\n{text}" for number, text in enumerate(BLANK, 3)),
        "\n\n".join(f"2024-05-{number} 22:1{number % 10}\n\n{text}" for number, text in enumerate(BLANK, 3)),
        "\n\n".join(f"{title} ({number})\n=====\n\n{text}" for number, (title, text) in enumerate(zip(TITLES, BLANK, strict=True))),
        "\n\nTHE END\n\n".join("\n\n".join(f"{one}\n\n[Page {number}]" for number, one in enumerate(story, 1)) for story in STORIES),
        "\n\nTHE END\n\n".join(f"{text}\n\n[Illustration: The quay at night]" for text in BLANK),
        "\n\n".join(f"{title}:\n\n{text}" for title, text in zip(TITLES, BLANK, strict=True)),
        "<|endoftext|>".join("\n".join(story) for story in STORIES),
        "".join(f"<s>{text}</s>\n" for text in BLANK),
        "".join(f"<|startoftext|>\n{text}\n<|endoftext|>\n" for text in BLANK),
        "".join(f"[[tale]]{text}[[elat]]\n" for text in BLANK),
        "".join(f"<sos>{text}<{'EOS' if k % 3 else 'eos'}>\n" for k, text in enumerate(BLANK)),
        "".join(f"<{'START' if k % 3 else 'start'}>\n{text}\n" for k, text in enumerate(BLANK)),
        "".join(f"{text}\n<{'END' if k % 3 else 'end'}>\n" for k, text in enumerate(BLANK)),
        "\n\n".join(f"> You find {title}\n> by the sea.\n\n{text}" for title, text in zip(TITLES, BLANK, strict=True)),
        "\n\n".join(f"Prompt #{number}: You find a lamp.\n\n{text}" for number, text in enumerate(BLANK, 1)),
        "\n\n".join(f"{title}\n\nI\n\n{text}\n\nII\n\n{BLANK[0]}" for title, text in zip(TITLES, BLANK, strict=True)),
        "\n\n".join(f"{title}\n\nPart One\n\n{text}\n\nPart Two\n\n{BLANK[0]}" for title, text in zip(TITLES, BLANK, strict=True)),
        "".join(f"<<tale>>{text}<<elat>>\n" for text in BLANK),
        "\n\n".join(f"Chapter {number}\n\n{text}" for number, text in enumerate(BLANK, 1)),
        "\n\n\n".join(f"CHAPTER {roman}.\n\n{text}" for roman, text in zip(["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"], BLANK, strict=True)),
        "\n\n".join(f"{title}\n\n{text}" for title, text in zip(TITLES, BLANK, strict=True)),
        "\n\n".join(f"=== {title} ===\n{text}" for title, text in zip(TITLES, BLANK, strict=True)),
        "\n\n".join(f"{'=' * 30}\n{title}\n{'=' * 30}\n\n{text}" for title, text in zip(TITLES, BLANK, strict=True)),
        "\n\n".join(f"{number}\n{title}\n\n{text}" for number, (title, text) in enumerate(zip(TITLES, BLANK, strict=True), 1)),
        "Low Quay\n\nCONTENTS\n\n" + "".join(f"{title} by Mara Quill .... 5\n" for title in TITLES) + "".join(f"\n\n\n{title}\nby Mara Quill\n\n{text}" for title, text in zip(TITLES, BLANK, strict=True)),
        "\n\n".join(f"{title.upper()}\nMara de Quill\n\n{text}" for title, text in zip(TITLES, BLANK, strict=True)),
        "\n\n\n".join(f"{title}\nby Mara Quill\n\n{text}\n\nRed Lamps\n\n{BLANK[0]}" if title == TITLES[2] else f"{title}\nby Mara Quill\n\n{text}" for title, text in zip(TITLES, BLANK, strict=True)),
        "\n\n\n".join(f"{text}\n\nCURTAIN." for text in BLANK),
        "\n\n".join(f"{number}/10\n\n{text}" for number, text in enumerate(BLANK, 1)),
        "\n\x1e\n".join(BLANK),
        "".join(f"\ufeff{text}\n" for text in BLANK),
        "Low Quay\n\nContents\n\n" + "".join(f"  {number}  {title}\n" for number, title in enumerate(TITLES, 1)) + "".join(f"\n\n\n{number}  {title}\n\n{text}" for number, (title, text) in enumerate(zip(TITLES, BLANK, strict=True), 1)),
        "\n".join(f"{text}####" for text in BLANK),
        "\n\n".join(f"{text}\n\n[END OF STORY {number}]" for number, text in enumerate(BLANK, 1)),
        "\n\n".join(f"==> {number}.txt <==\n{text}" for number, text in enumerate(BLANK, 1)),
        " #### ".join(FLAT),
        "".join(f"<s>{text}\n" for text in BLANK),
        "".join(f"<pad>{text}<pad>\n" for text in BLANK),
        "\f".join(f"Chapter {number}\n\n{text}\n" for number, text in enumerate(BLANK, 1)),
        "\n\n\n\n".join(f"{number}tes Kapitel\n\n{text}" for number, text in zip(("Ers", "Zwei", "Drit", "Vier", "Fünf", "Sechs", "Sieben", "Ach", "Neun", "Zehn"), BLANK, strict=True)),
        "\n\n".join(f"Title: {title}\nAuthor: Mara\nDate: 2021-03-04\n\n{text}" for title, text in zip(TITLES, BLANK, strict=True)),
        "\n\n".join(f"Chapter {number}. {text}" for number, text in enumerate(BLANK, 1)),
        "\n\n".join(f"......{number}......\n\n{text}" for number, text in enumerate(BLANK, 1)),
        "\n\n".join(f"He keeps the light and nobody may know of it (Part {number})\n\n{text}" for number, text in enumerate(BLANK, 1)),
        "\n\n".join(f"Post by mara » Mon Mar {number}, 2021 10:10 am\n\n{text}" for number, text in enumerate(BLANK, 1)),
        "".join(f'<doc id="{number}" title="{title}">\n{text}\n</doc>\n' for number, (title, text) in enumerate(zip(TITLES, BLANK, strict=True))),
        "\u2029".join(f"Chapter {number}\u2029{text}" for number, text in enumerate(FLAT, 1)),
        "\n\n".join(f"{title}\n======\n\n{text}" for title, text in zip(TITLES, BLANK, strict=True)),
        "\n\n".join(f"{number}\n\n{text}" for number, text in enumerate(BLANK, 1)),
        "\n\n".join(f"Chapter {number}: {title}\n" + textwrap.fill(" ".join(story), 70) for number, (title, story) in enumerate(zip(TITLES, STORIES, strict=True), 1)),
    ],
)  # fmt: skip
def test_stories_begin_where_they_should(tmp_path: Path, text: str) -> None:
    source = source_of(tmp_path, text)
    assert [start[:15] for start in starts(source)] == [start[:15] for start in WANTED], source.description


def test_a_name_below_a_line_in_capitals_within_a_story_stays_on_its_own_line(tmp_path: Path) -> None:
    paragraphs = [*STORIES[0], "HERE LIES\nTom Grey", *STORIES[1]]
    wrapped = [text if "\n" in text else textwrap.fill(text, 70) for text in paragraphs]
    (story, *_) = source_of(tmp_path, "\n\n".join(wrapped), split_at="files")
    assert "HERE LIES\nTom Grey" in story.text


def test_poems_without_full_stops_between_dividers(tmp_path: Path) -> None:
    verses = [re.sub(r"[.,“”]", "", text.replace(" ", "\n").replace("\n\n", "\n")) for text in FLAT]
    poems = ["\n".join(" ".join(verse.split()[at : at + 5]) for at in range(0, 80, 5)) for verse in verses]
    assert [story.text for story in source_of(tmp_path, "\n\n***\n\n".join(poems))] == poems


def test_names_below_letters_are_asked_about_beside_the_line_between_stories(tmp_path: Path) -> None:
    letters = [
        "\n\n".join(["Dear Tom,", *story, "Mara" if place in (3, 6) else "I never sent it."])
        for place, story in enumerate(STORIES)
    ]
    with pytest.raises(FabulaError, match="two ways") as caught:
        source_of(tmp_path, "\n\n~~~\n\n".join(letters).replace("Mara", "Tobias", 1))
    assert "--split-at chapters or --split-at '~~~'" in str(caught.value)


def test_paragraphs_are_never_stories(tmp_path: Path) -> None:
    """A manuscript without chapters is one text, whose last tenth is a separate story so that it can be held out."""
    source = source_of(tmp_path, "\n\n".join(BLANK))
    stories = list(source)
    assert [story.part for story in stories] == [1, 2]
    assert {story.book for story in stories} == {"a.txt"}
    assert "\n\n".join(story.text for story in stories) == "\n\n".join(BLANK)
    assert 0.05 < len(stories[1].text) / len("\n\n".join(BLANK)) < 0.15


def test_verse_between_wide_gaps_is_no_single_text(tmp_path: Path) -> None:
    lines = [" ".join(sentence.split()[:6]) for sentence in SENTENCES]
    poems = ["\n\n".join("\n".join(lines[k + j :][:4]) for j in (0, 4, 8)) for k in range(5)]
    assert starts(source_of(tmp_path, "\n\n\n".join(poems))) == [poem[:25] for poem in poems]


def test_pages_with_a_head_are_no_stories(tmp_path: Path) -> None:
    lines = textwrap.wrap(" ".join(FLAT), 60)
    text = "".join(
        f"\fMarl / THE TIDE / {page}\n" + "\n".join(lines[20 * page :][:20]) + "\n"
        for page in range(len(lines) // 20)
    )
    for form in (text, text.replace("\f", "")):
        stories = list(source_of(tmp_path, form))
        assert [story.part for story in stories] == [1, 2]
        assert not any("THE TIDE" in story.text for story in stories)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("".join(f"{text}\n<|endoftext{'|' * (k != 4)}>\n" for k, text in enumerate(BLANK)), "this mark is written '<|endoftext>'"),
        ("".join(f"<sos>{text}<{'eos|' if k == 4 else 'eos'}>\n" for k, text in enumerate(BLANK)), "'<eos|>', not <eos>"),
        (f"{BLANK[0]}[a]\n\n{BLANK[1]}\n\n[a]Is this her boot?", "the comments of readers"),
        ("50256 318 257 11 1 0 764 262 290 " * 9, "this file holds numbers"),
        ("".join(f"> {line}\n" for line in BLANK[0].split("\n")), 'each line begins with ">"'),
        ("".join(f"{k}::{title}::{text}\n" for k, (title, text) in enumerate(zip(TITLES, FLAT, strict=True))), "fields are apart by ::"),
        ("".join(f"[WP] {sentence}\n" for sentence in SENTENCES), "prompts and no stories"),
        ("".join(f"quill said:\n↑\n{text[:40]}\nClick to expand...\nMore!\n\n{text}\n\n" for text in BLANK[:3]), "a forum's thread"),
        ("\n\n".join(textwrap.fill(sentence, 20) for sentence in SENTENCES if 20 < len(sentence) < 40), "--split-at blank-lines"),
    ],
)  # fmt: skip
def test_what_would_be_read_wrongly_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(FabulaError) as caught:
        source_of(tmp_path, text)
    assert words in str(caught.value)


def test_what_stands_before_and_after_the_chapters_is_no_story(tmp_path: Path) -> None:
    licence = "Smashwords Edition, License Notes\n\nThis ebook is for you only. It may not be sold again by you.\n\n"
    chapters = [f"{title}\n\n{text}" for title, text in zip(TITLES, BLANK, strict=True)]
    assert starts(source_of(tmp_path, licence + "\n\n".join(chapters))) == WANTED
    before = "THE TIDE\n\nFor those who wait\n\nThis is the second edition. The first was lost in a boat, with the boat."
    after = "About the Author\n\nA. Writer lives by the sea. This is a first novel.\n\nAlso by A. Writer\n\nThe Ebb"
    chapters = [f"Chapter {number}\n\n{text}" for number, text in enumerate(BLANK, 1)]
    source = source_of(tmp_path, "\n\n\n".join([before, *chapters, after]))
    assert [story.text for story in source] == BLANK


@pytest.mark.parametrize("mark", ["\f", "####", "<pad>"])
def test_a_mark_within_lines_can_be_typed(tmp_path: Path, mark: str) -> None:
    text = (
        mark.join(f"{text}\n" for text in BLANK) if mark == "\f" else "\n".join(text + mark for text in BLANK)
    )
    found = source_of(tmp_path, text)
    typed = source_of(tmp_path, text, split_at=found.plans[0].split.split_at)
    assert typed.plans[0].split == found.plans[0].split
    assert len(starts(typed)) == len(BLANK)


@pytest.mark.parametrize("join", ["\n", "\n\n"])
def test_paragraphs_that_go_on_from_one_to_the_next_are_asked_about(tmp_path: Path, join: str) -> None:
    long = [" ".join([*SENTENCES[k:], *SENTENCES[:k]]) for k in range(12)]
    assert len(starts(source_of(tmp_path, join.join(long)))) == 12
    with pytest.raises(FabulaError, match="--split-at files"):
        source_of(tmp_path, join.join(f"Then {text}" if k % 4 == 3 else text for k, text in enumerate(long)))


@pytest.mark.parametrize(
    "titles",
    [{3: "Lo and behold!"}, {0: "The Lamp", 2: "Class I", 5: "Ebb"}, {k: TITLES[k] for k in range(2, 8)}],
)
def test_short_lines_that_may_be_no_titles_are_asked_about(tmp_path: Path, titles: dict[int, str]) -> None:
    """There are few of them, or none is at the head of the text."""
    parts = [f"{titles[k]}\n\n{text}" if k in titles else text for k, text in enumerate(BLANK)]
    with pytest.raises(FabulaError, match="--split-at chapters or --split-at files"):
        source_of(tmp_path, "\n\n".join(parts))


def test_speech_alone_a_line_is_asked_about(tmp_path: Path) -> None:
    text = "\n".join(
        " ".join(f"“{sentence[:-1]},” he said." for sentence in SENTENCES[k : k + 6]) for k in range(9)
    )
    with pytest.raises(FabulaError, match="--split-at lines"):
        source_of(tmp_path, text)


def test_lines_that_are_alike_are_asked_about(tmp_path: Path) -> None:
    """Stories of two sentences, one a line, look like the paragraphs of one text without speech."""
    pairs = [f"{one} {other}" for one, other in itertools.combinations(SENTENCES, 2)]
    with pytest.raises(FabulaError, match="--split-at lines"):
        source_of(tmp_path, "\n".join(pairs[:40]))


def test_bullets_are_no_part_of_stories(tmp_path: Path) -> None:
    text = "\n".join(f"- {story}" for story in FLAT)
    assert starts(source_of(tmp_path, text, split_at="lines")) == [story[:25] for story in FLAT]


def test_numbers_and_labels_before_lines_are_asked_about(tmp_path: Path) -> None:
    for form in ("{0}\t{1}\n", "__label__sea {1}\n"):
        text = "".join(
            form.format(number, line) for number, line in enumerate("\n".join(BLANK).split("\n"), 1) if line
        )
        if form[0] == "{":
            text = "".join(form.format(number, line) for number, line in enumerate(SENTENCES, 1))
        with pytest.raises(FabulaError, match="each line begins with"):
            source_of(tmp_path, text)


def test_letters_keep_their_heads_and_screenplays_their_scenes(tmp_path: Path) -> None:
    scenes = "\n\n".join(
        f"INT. {title.upper()} - NIGHT\n\n{text}" for title, text in zip(TITLES, BLANK, strict=True)
    )
    assert sum(story.text.count("INT. ") for story in source_of(tmp_path, scenes)) == len(TITLES)
    letters = "\n\n".join(
        f"The Quay, {number} May\n\nMy dear Anna,\n\n{text}" for number, text in enumerate(BLANK, 1)
    )
    assert sum(story.text.count("The Quay, ") for story in source_of(tmp_path, letters)) == len(BLANK)


def test_each_file_of_a_folder_is_a_story_unless_it_has_chapters(tmp_path: Path) -> None:
    for number, text in enumerate(BLANK):
        (tmp_path / f"{number}.txt").write_text(text)
    assert len(list(open_stories(tmp_path))) == 10
    for number, text in enumerate(BLANK):
        (tmp_path / f"{number}.txt").write_text(f"Chapter 1\n\n{text}\n\nChapter 2\n\n{number}. {text}")
    stories = list(open_stories(tmp_path))
    assert [(story.book, story.part) for story in stories[:3]] == [("0.txt", 1), ("0.txt", 2), ("1.txt", 1)]


def test_files_that_are_called_chapters_are_a_book_in_order(tmp_path: Path) -> None:
    for number, text in enumerate(BLANK, 1):
        (tmp_path / f"Chapter {number}.txt").write_text(text)
    stories = list(open_stories(tmp_path))
    assert [(story.source, story.part) for story in stories] == [
        (f"Chapter {n}.txt", n) for n in range(1, 11)
    ]
    assert {story.book for story in stories} == {"./"}


def test_the_user_is_asked_if_two_ways_are_equally_good() -> None:
    """Files of lines that are long enough for stories: either the lines or the files are the stories."""
    samples = [
        ReadSample(f"{number}.txt", "\n".join(FLAT[number * 3 : number * 3 + 3])) for number in range(3)
    ]
    with pytest.raises(FabulaError) as caught:
        choose_split(samples)
    assert str(caught.value).endswith("type --split-at lines or --split-at files")
    assert caught.value.details.count("\n") == 7
    tellers = "\n\n\n".join(f"{['MARA', 'TOM', 'PELL'][at % 3]}\n\n{text}" for at, text in enumerate(BLANK))
    with pytest.raises(FabulaError, match=r"or --split-at '\w+\|\w+\|\w+' for all"):
        choose_split([ReadSample("a.txt", tellers)])
    assert FLAT[0][:60] in caught.value.details


def test_the_user_names_where_stories_begin(tmp_path: Path) -> None:
    text = "\n\n".join(
        f"Day {number}, noon\n\n{text}\n\n* * *\n\nAfter." for number, text in enumerate(BLANK, 1)
    )
    source = source_of(tmp_path, text, split_at=r"Day \d+, noon")
    assert starts(source) == WANTED
    assert next(iter(source)).title == "Day 1, noon"
    assert len(list(source_of(tmp_path, text, split_at="scenes"))) == 20
    assert len(list(source_of(tmp_path, text, split_at="files"))) == 2
    for split_at, message in {
        "chapter": "unknown way to split 'chapter'; did you mean chapters?",
        "Night": "no line is or matches 'Night'",
    }.items():
        with pytest.raises(FabulaError, match=message):
            source_of(tmp_path, text, split_at=split_at)


def test_front_matter_contents_and_empty_chapters_are_left_out_and_noted(tmp_path: Path) -> None:
    contents = "\n".join(f"Chapter {number}" for number in range(1, 11))
    body = "\n\n".join(f"Chapter {number}\n\n{text}" for number, text in enumerate(BLANK, 1))
    source = source_of(tmp_path, f"THE TIDE-TABLE\n\nby A. Writer\n\nContents\n\n{contents}\n\n{body}")
    log = ReadingLog()
    stories = list(source.read(next(source.ranges()), log))
    assert [story.text[:25] for story in stories] == WANTED
    assert {removal.reason for removal in log.removals} == {"front-matter", "empty-chapter"}


def test_a_first_story_without_a_title_is_kept(tmp_path: Path) -> None:
    talk = "\n\n".join(["“Is it late?” she asked.", "“It is late,” he said."] * 30)
    rest = "\n\n".join(f"Chapter {number}\n\n{text}" for number, text in enumerate(BLANK, 2))
    assert next(iter(source_of(tmp_path, f"{talk}\n\n{rest}"))).text == talk


def test_page_numbers_and_running_heads_go_and_sentences_join() -> None:
    lines = textwrap.wrap(" ".join(FLAT), 60)
    pages = ["\n".join(lines[at : at + 30]) for at in range(0, len(lines), 30)]
    text = "".join(f"{page}\n\nTHE TIDE-TABLE\n{number}\n\f" for number, page in enumerate(pages, 1))
    kept, removed = without_pages(text.split("\n"))
    assert {reason for _, reason, _ in removed} == {"page-number", "running-head"}
    assert unwrap("\n".join(line for line in kept if line is not None)).split() == " ".join(FLAT).split()


def test_the_heads_of_scanned_pages_have_one_space_beside_the_number() -> None:
    lines = textwrap.wrap(" ".join(FLAT), 60)
    pages = ["\n".join(lines[at : at + 30]) for at in range(0, len(lines), 30)]
    heads = ["THE TIDE TABLE {}", "{} MARA QUILL"]
    text = "\n\n".join(f"{heads[at % 2].format(at + 11)}\n\n{page}" for at, page in enumerate(pages))
    kept, removed = without_pages(text.split("\n"))
    assert len(removed) == len(pages)
    assert " ".join(line for line in kept if line).split() == " ".join(FLAT).split()
    chapters = re.sub(
        r"(?m)^THE TIDE TABLE \d+|^\d+ MARA QUILL", lambda head: f"CHAPTER {head.start()}", text
    )
    assert without_pages(chapters.split("\n"))[1] == []


def test_counts_below_a_title_are_no_part_of_the_story(tmp_path: Path) -> None:
    """Scripts that copy posts write such fields, and a divider below them."""
    text = "\n".join(
        f"Title: Night {number}\nAuthor: A. Writer\nScore: {number}\n--------\n{story}\n========"
        for number, story in enumerate(BLANK)
    )
    assert [story.text for story in source_of(tmp_path, text)] == BLANK


def test_one_page_number_within_a_sentence_is_enough() -> None:
    lines = ["The lamp had burned for nine hundred years, and", "", "12", "", "on the morning it went out."]
    assert [number for number, _, _ in without_pages(lines)[1]] == [3]
    assert without_pages([lines[0] + " then.", *lines[1:]])[1] == []
    assert without_pages(["he counted", *lines[1:]])[1] == []


def test_the_licence_of_project_gutenberg_goes() -> None:
    lines: list[str | None] = ["Title: X", "*** START OF THE PROJECT GUTENBERG EBOOK X ***", "A story.", "*** END OF THE PROJECT GUTENBERG EBOOK X ***", "Terms"]  # fmt: skip
    assert [reason for _, reason, _ in without_gutenberg(lines)] == ["gutenberg-licence"] * 2
    assert lines == [None, None, "A story.", None, None]
    lines = [
        "*** START OF THE PROJECT GUTENBERG EBOOK X ***",
        "_The snow_, said _he",
        "not she_, of snake_case.",
    ]
    without_gutenberg(lines)
    assert lines[1:] == ["The snow, said he", "not she, of snake_case."]


@given(st.integers(1, 900), st.sampled_from(["{p. 0}", "[Pg 0]", "[page 0]"]))
def test_marks_of_pages_within_lines_and_numbers_of_verses_go(first: int, mark: str) -> None:
    marked = [f"He lit {mark.replace('0', str(first + number))} the lamp." for number in range(9)]
    verse = [
        f"The tide came in{' ' * 9}{number}" if number % 5 == 0 else "and took the lamp"
        for number in range(5, 40)
    ]
    kept, removed = without_pages(marked)
    assert kept == ["He lit the lamp."] * 9
    assert [text for _, _, text in removed] == [mark.replace("0", str(first + number)) for number in range(9)]
    assert {*without_pages(verse)[0]} == {"The tide came in", "and took the lamp"}
    years = ["In    1907", "In    1871", "In    1902", "In    1899", "He went."]
    assert without_pages(years) == (years, [])


@given(
    st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=9),
    st.sampled_from(["<nl>", " <NL> ", "[NL]", " ¶ ", "<newline> ", " <|newline|> "]),
)
def test_tokens_for_the_ends_of_lines(lines: list[str], token: str) -> None:
    assert with_newlines(token.join(lines)) == "\n".join(lines)


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("{n}\n", ""),  # in a text without blank lines
        ("\n★ {t}\n\n", "{t}"),
        ("\n<<{t}>>\n\n", "<<{t}>>"),
        ("\n[2021-03-{n:02}] {t}\n\n", "[2021-03-{n:02}] {t}"),
        ("\n..::Chapter {n}::..\n\n", "..::Chapter {n}::.."),
        ("\n{t}\nWord count: {n}\n\n", "{t}"),
        ("\n\ufeffChapter {n}\n\n", "Chapter {n}"),
        ("\n//-----//\n// {t}\n// Story: Quay\n//-----//\n\n", "{t}: Story: Quay"),
        ('\n<story id="{n}" title="{t}">\n', ""),
        ("\n-----8<-----\n", ""),
        ("\n（{n}）\n", "（{n}）"),
        ("\n正文 第{n}章 潮水\n\n", "正文 第{n}章 潮水"),
        ("\nفصل {n}\n\n", "فصل {n}"),
        ("\nΚΕΦΑΛΑΙΟ {n}\n\n", "ΚΕΦΑΛΑΙΟ {n}"),
        ("\n\nEnd of chapter {n}\n\nChapter {n}\n\n", "Chapter {n}"),
    ],
)
def test_rarer_ways_to_part_stories(tmp_path: Path, head: str, title: str) -> None:
    end = "\n</story>" if "<story" in head else ""
    text = "\n".join(
        head.format(n=number, t=TITLES[number - 1]) + "\n".join(story) + end
        for number, story in enumerate(STORIES, 1)
    )
    if head.endswith("8<-----\n"):
        text = text.removeprefix(head)
    source = source_of(tmp_path, text)
    assert [story.text.split() for story in source] == [flat.split() for flat in FLAT]
    if title:
        assert [story.title for story in source] == [
            title.format(n=number, t=name) for number, name in enumerate(TITLES, 1)
        ]


def test_a_line_that_recurs_in_one_text_is_asked_about() -> None:
    text = "\n\n".join(f"pell\n\nWell-known member\n\n{text}\n\nReply" for text in BLANK)
    with pytest.raises(FabulaError, match=r"--split-at '(?:Well-known member|pell|Reply)'"):
        choose_split([ReadSample("a.txt", text)])


def test_chinese_paragraphs_of_a_line_are_not_joined() -> None:
    lines = ["　　" + "海边的老人有一条没有桨的船。" * (4 + number % 3) for number in range(40)]
    assert unwrap("\n".join(lines)) == "\n".join(lines)


@given(
    st.lists(st.lists(st.sampled_from(SENTENCES), min_size=24, max_size=30), min_size=3, max_size=6),
    st.integers(55, 150),
)
def test_broken_lines_are_joined(paragraphs: list[list[str]], width: int) -> None:
    whole = [" ".join(sentences) for sentences in paragraphs]
    wrapped = "\n\n".join(textwrap.fill(text, width, break_on_hyphens=False) for text in whole)
    assert unwrap(wrapped) == "\n\n".join(whole)


@pytest.mark.parametrize("space", ["\u00a0", "\u3000\u3000", " \t"])
@pytest.mark.parametrize("between", ["\n{0}\n{0}\n{0}\n", "\n\n{0}***{0}\n\n", "\n{0}***\n"])
def test_lines_may_hold_any_white_space(tmp_path: Path, space: str, between: str) -> None:
    stories = [text.replace("\n\n", f"\n{space}\n") for text in BLANK]
    assert starts(source_of(tmp_path, between.format(space).join(stories) + "\n")) == WANTED


@pytest.mark.parametrize("end", ["# # #", "***", "⁂"])
def test_a_divider_at_the_end_is_no_part_of_a_story(tmp_path: Path, end: str) -> None:
    (read := tmp_path / "a").mkdir()
    for number, story in enumerate(BLANK):
        (read / f"{number}.txt").write_text(f"{story}\n\n{end}\n", encoding="utf-8")
    assert [story.text for story in open_stories(read)] == BLANK
    text = "\n\n#\n\n".join(BLANK) + f"\n\n{end}\n"
    assert [story.text for story in source_of(tmp_path, text)] == BLANK


@pytest.mark.parametrize("suffix", [".txt", ".html"])
def test_the_last_line_of_fanficfare_is_left_out(tmp_path: Path, suffix: str) -> None:
    for number, story in enumerate(BLANK):
        text = f"{story}\n\n\nEnd file.\n"
        (tmp_path / f"{number}{suffix}").write_text(
            text if suffix == ".txt" else f"<p>{text}".replace("\n\n", "<p>")
        )
    assert [story.text for story in open_stories(tmp_path)] == BLANK


@pytest.mark.parametrize("signs", [("-" * 18, "-" * 20, "-" * 23), ("***", "* * *", "****")])
def test_dividers_that_differ_a_little_are_the_same(tmp_path: Path, signs: tuple[str, ...]) -> None:
    text = "".join(f"{story}\n\n{signs[at % 3]}\n\n" for at, story in enumerate(BLANK))
    assert starts(source_of(tmp_path, text)) == WANTED


def test_scenes_and_stories_with_dividers_of_the_same_sign_are_asked_about(tmp_path: Path) -> None:
    text = "".join(f"{story}\n\n{'-' * (40 if at % 2 else 5)}\n\n" for at, story in enumerate(BLANK))
    with pytest.raises(FabulaError, match="two ways"):
        source_of(tmp_path, text)


def test_a_number_with_its_sign_may_stand_directly_above_a_story(tmp_path: Path) -> None:
    text = "".join(f"#{number}\n{story}\n\n" for number, story in enumerate(BLANK, 1))
    assert starts(source_of(tmp_path, text)) == WANTED


def test_an_address_above_a_wrapped_story_does_not_keep_its_lines_apart(tmp_path: Path) -> None:
    address = "Mara Quill\n1 Quay Street\nLow Quay\nThe Coast\n\nAbout 300 words\n\n"
    for number, story in enumerate(STORIES):
        text = "\n\n".join(textwrap.fill(part, 66) for part in story[:5])
        (tmp_path / f"{number}.txt").write_text(f"{address}{text}\n", encoding="utf-8")
    for read, story in zip(open_stories(tmp_path), STORIES, strict=True):
        assert read.text.endswith("\n\n".join(story[:5]))


def test_lines_with_a_blank_one_after_each_are_joined(tmp_path: Path) -> None:
    book = "\n\n".join(
        f"Chapter {number}\n\n"
        + textwrap.fill(" ".join(story), 66, initial_indent="    ").replace("\n", "\n\n")
        for number, story in enumerate(STORIES, 1)
    )
    assert [story.text for story in source_of(tmp_path, book)] == FLAT


def test_indented_paragraphs_of_one_line_are_not_joined() -> None:
    speech = [f"     “{sentence}”" for sentence in SENTENCES[:2]]
    lines = [*textwrap.wrap(FLAT[0], 65), *speech, *textwrap.wrap(FLAT[1], 65, initial_indent="     ")]
    assert unwrap("\n".join(lines)).split("\n\n")[1:3] == [line.strip() for line in speech]


def test_narrow_lines_are_joined_only_if_their_groups_are_paragraphs() -> None:
    paragraphs = [text for story in STORIES for text in story]
    assert unwrap("\n\n".join(textwrap.fill(text, 42) for text in paragraphs)) == "\n\n".join(paragraphs)
    stanzas = "\n\n".join("\n".join(textwrap.wrap(text, 42)[:4]) for text in FLAT)
    assert unwrap(stanzas) == stanzas


def test_footnotes_below_a_text_go(tmp_path: Path) -> None:
    book = "\n\n".join(f"Chapter {number}\n\n{text}" for number, text in enumerate(BLANK, 1))
    log = ReadingLog()
    source = source_of(tmp_path, f"{book}\n\nFOOTNOTES:\n\n[1] A lamp.\n\n[2] A boot,\nor two.\n")
    assert [story.text for story in source.read(next(source.ranges()), log)] == BLANK
    assert [(one.reason, one.text) for one in log.removals] == [
        ("footnote", "FOOTNOTES:\n[1] A lamp.\n[2] A boot,\nor two.")
    ]


def test_numbers_of_chapters_below_the_name_of_a_part_are_no_page_numbers(tmp_path: Path) -> None:
    parts = [
        f"{'Часть первая' if k == 0 else 'Часть вторая'}\n\n" * (k % 4 == 0) + f"{k % 4 + 1}\n\n{text}"
        for k, text in enumerate(BLANK[:8])
    ]
    assert starts(source_of(tmp_path, "\n\n".join(parts))) == WANTED[:8]


def test_text_without_a_letter_beside_marks_is_no_story(tmp_path: Path) -> None:
    log = ReadingLog()
    source = source_of(tmp_path, "".join(f"100{k}\t<sos> {text} <eos>\n" for k, text in enumerate(FLAT)))
    assert [story.text for story in source.read(next(source.ranges()), log)] == FLAT
    assert [(one.reason, one.text) for one in log.removals] == [("no-letters", f"100{k}") for k in range(10)]


def test_verse_and_long_lines_are_not_joined() -> None:
    verse = ["The tide came in", "and took the lamp,", "the chair, the coat,", "and left the damp."] * 5
    assert wrap_width(verse) == 0
    assert wrap_width(FLAT) == 0
    assert unwrap("\n".join(FLAT)) == "\n".join(FLAT)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("Chapter 1", CHAPTER), ("CHAPTER XIV.", CHAPTER), ("Chapter Twenty-One: The Lamp", CHAPTER), ("Kapitel 3", CHAPTER),
        ("Глава 2", CHAPTER), ("第三章 海", CHAPTER), ("Part Two", PART), ("Chapter 1 The Lamp", CHAPTER),
        ("فصل اول", CHAPTER), ("ΚΕΦΑΛΑΙΟ Α'", CHAPTER), ("פרק ב", CHAPTER), ("（三）", CHAPTER), ("Часть вторая", PART), ("השחפים שתקו", TITLE),
        ("Розділ 2", CHAPTER), ("3. Bölüm", CHAPTER), ("الفصل الأول", CHAPTER), ("अध्याय 4", CHAPTER), ("บทที่ 2", CHAPTER), ("제3장", CHAPTER),
        ("- 4 -", NUMERAL), ("§ 4", NUMERAL), ("The light (Part 3)", CHAPTER), ("He read it (part of it) again", 0),
        ("A Coat on the Nail (1922)", TITLE), ("A Coat on the Nail:", TITLE), ("He ran:", 0), ("To Whom It May Concern:", 0), ("BOOK THE FIRST", PART), ("Prologue", CHAPTER),
        ("Part of him wanted to stay, and part of him did not.", 0), ("He opened the book.", 0), ("“Chapter 3,” he said.", 0),
        ("Chapter 3 was the worst, she thought, and turned the page.", 0), ("THE END", 0), ("by A. Writer", 0),
    ],
)  # fmt: skip
def test_headings_by_their_form(line: str, level: int) -> None:
    heading = find_heading(line, True)
    assert (heading.level if heading else 0) == level


def test_roman_numbers() -> None:
    assert [roman_value(text) for text in ("i", "IV", "ix", "XL", "xc", "CXIV")] == [1, 4, 9, 40, 90, 114]


def test_marks_within_prose_are_not_markers() -> None:
    assert find_markers(["He said <i>no</i>, and <i>no</i>, and <i>no</i> again. " * 9]) is None
    assert find_markers(["It was <s>good</s> bad, and <s>late</s> early. " * 9]) is None
    assert find_markers(["A fox. <|endoftext|> A cat."]) == Split("markers", end="<|endoftext|>")


@given(st.lists(st.builds(Block, st.sampled_from(["heading", "paragraph", "divider"]), st.sampled_from(["", "A", "b c."]), st.integers(0, 3), st.integers(1, 9))),
       st.sampled_from([Split("headings", level=2), Split("scenes", level=1), Split("file")]))  # fmt: skip
def test_no_paragraph_is_lost_by_cutting(blocks: list[Block], split: Split) -> None:
    parts, removed = cut_blocks(blocks, split)
    told = "\n".join([*(f"{part.title}\n{part.text}" for part in parts), *(text for _, _, text in removed)])
    for text in ("A", "b c."):
        assert told.count(text) >= sum(block.text == text for block in blocks if block.kind == "paragraph")
