"""Text from sources with their own conventions: the story is kept, and what the source put around it is removed."""

from pathlib import Path

import pytest

from fabula.corpus.read import open_stories
from fabula.corpus.sources.chat import is_chat, read_chat
from fabula.corpus.sources.songs import is_songs, read_songs
from fabula.corpus.sources.writing_prompts import restore


def kinds(blocks) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in blocks]


@pytest.mark.parametrize(
    ("tokenised", "written"),
    [
        ("`` Who 's there ? '' said he .", '"Who\'s there?" said he.'),
        ("I ca n't , you know .", "I can't, you know."),
        ("One . <newline> <newline> Two ...", "One.\nTwo..."),
        ("[ WP ] A man ( old ) pays $ 5 .", "[WP] A man (old) pays $5."),
        ("I 'm gon na go ; we 'll see !", "I'm gonna go; we'll see!"),
    ],
)
def test_tokenised_text_is_restored(tokenised: str, written: str):
    assert restore(tokenised) == written


@pytest.mark.parametrize(
    "head", ["10:{k}\tmara\t", "[00:{k}:07] MARA: ", "(10:{k} PM) mara_q: ", "10:{k} <mara> "]
)
def test_messages_with_only_a_time(head: str):
    said = [f"The fox ran to quay {k} and looked at it." for k in range(10, 20)]
    log = "\n".join(head.format(k=k) + line for k, line in enumerate(said, 10))
    assert is_chat(log.split("\n"))
    assert [block.text for block in read_chat(log).blocks] == said


def test_writing_prompts_keep_the_published_split(tmp_path: Path):
    (tmp_path / "valid.wp_target").write_text("He ran . <newline> She sat .\n", encoding="utf-8")
    (story,) = open_stories(tmp_path / "valid.wp_target")
    assert (story.text, story.split) == ("He ran.\nShe sat.", "validation")


DISCORD = """==============================================================
Guild: Writers
==============================================================

[01/03/2023 10:26] ann
The fox ran.
It was late.

{Reactions}
x (3)

[01/03/2023 10:27] bob
Nobody saw it: nobody was up.

==============================================================
Exported 2 message(s)
==============================================================
"""
WHATSAPP = """12/03/2023, 10:26 - Messages and calls are end-to-end encrypted. No one can read them.
12/03/2023, 10:27 - Ann: The fox ran.
It was late.
12/03/2023, 10:28 - Bob: <Media omitted>
12/03/2023, 10:29 - Bob: Nobody saw it: nobody was up.
"""
WHATSAPP_IOS = """‎[01/03/2021, 10:00:00] Tales: ‎Messages and calls are end-to-end encrypted.
[01/03/2021, 10:01:00] Ann: The fox ran.
It was late.
[01/03/2021, 10:02:00] Bob: Nobody saw it: nobody was up.
"""
TELEGRAM = "Ann Reed, [01.03.2021 10:01]\nThe fox ran.\nIt was late.\n\nBob, [01.03.2021 10:03]\nNobody saw it: nobody was up.\n"
SLACK = "Ann Reed  10:01 AM\nThe fox ran.\nIt was late.\n\nBob  10:03 AM\nNobody saw it: nobody was up.\n"
OTTER = "Unknown Speaker  0:00\nThe fox ran.\nIt was late.\n\nSpeaker 2  1:03\nNobody saw it: nobody was up.\n\nTranscribed by https://otter.ai\n"
IRC = """[10:26] <ann> The fox ran.
[10:26] *** cat joined
[10:27] <@bob> Nobody saw it: nobody was up.
"""


@pytest.mark.parametrize(
    ("log", "messages"),
    [
        (DISCORD, ["The fox ran.\nIt was late.", "Nobody saw it: nobody was up."]),
        (WHATSAPP, ["The fox ran.\nIt was late.", "Nobody saw it: nobody was up."]),
        (WHATSAPP_IOS, ["The fox ran.\nIt was late.", "Nobody saw it: nobody was up."]),
        (IRC, ["The fox ran.", "Nobody saw it: nobody was up."]),
        (TELEGRAM, ["The fox ran.\nIt was late.", "Nobody saw it: nobody was up."]),
        (OTTER, ["The fox ran.\nIt was late.", "Nobody saw it: nobody was up."]),
        (SLACK, ["The fox ran.\nIt was late.", "Nobody saw it: nobody was up."]),
    ],
    ids=["discord", "whatsapp", "whatsapp_ios", "irc", "telegram", "otter", "slack"],
)
def test_messages_are_joined_without_names(log: str, messages: list[str]):
    document = read_chat(log)
    assert [block.text for block in document.blocks] == messages
    assert document.left_out


def test_a_story_with_times_in_it_is_not_a_chat():
    assert not is_chat(["At 10:26 he said: go.", "[Chapter] Anna: a life"] * 10)


def test_songs_have_titles_and_keep_every_chorus():
    text = "Boots\n\n[Verse 1]\na\nb\n\n[Chorus]\nc\n\n[Verse 2]\nd\n\n[Chorus]\nc\n\nSalt\n\n[Verse 1]\ne\n[Chorus]\nf\n"
    assert is_songs(text.split("\n"))
    assert kinds(read_songs(text).blocks) == [
        ("heading", "Boots"),
        ("paragraph", "[Verse 1]\na\nb"),
        ("paragraph", "[Chorus]\nc"),
        ("paragraph", "[Verse 2]\nd"),
        ("paragraph", "[Chorus]\nc"),
        ("heading", "Salt"),
        ("paragraph", "[Verse 1]\ne"),
        ("paragraph", "[Chorus]\nf"),
    ]


def test_songs_from_genius_lose_what_its_pages_add():
    text = "".join(
        f"17 Contributors{title} Lyrics[Verse 1]\na\n\n[Chorus]\nb\nYou might also like3Embed\n\n"
        for title in ("Boots", "Salt")
    )
    songs = read_songs(text)
    assert kinds(songs.blocks) == [
        (kind, text)
        for title in ("Boots", "Salt")
        for kind, text in (("heading", title), ("paragraph", "[Verse 1]\na"), ("paragraph", "[Chorus]\nb"))
    ]
    assert [one.text for one in songs.left_out][:2] == [
        "17 ContributorsBoots Lyrics",
        "You might also like3Embed",
    ]


def test_one_song_from_genius_in_a_file_loses_what_its_page_adds():
    text = "17 ContributorsBoots Lyrics[Verse 1]\na\nYou might also likeB\n\n[Chorus]\nYou might also like[Verse 2]\nc1Embed"
    assert is_songs(text.split("\n"))
    assert kinds(read_songs(text).blocks) == [
        ("heading", "Boots"),
        ("paragraph", "[Verse 1]\na\nB"),
        ("paragraph", "[Chorus]"),
        ("paragraph", "[Verse 2]\nc"),
    ]


def test_labels_of_songs_may_end_with_a_colon_and_rules_stand_between_songs():
    song = "{}\n\nVerse 1:\na\n\nChorus:\nb\n\nVerse 2:\nc"
    text = "\n\n-----\n\n".join(map(song.format, ("Boots", "Salt")))
    assert is_songs(text.split("\n"))
    parts = [("paragraph", part) for part in ("Verse 1:\na", "Chorus:\nb", "Verse 2:\nc")]
    found = kinds(read_songs(text).blocks)
    assert found == [("heading", "Boots"), *parts, ("divider", ""), ("heading", "Salt"), *parts]


def test_the_chorus_of_a_play_is_no_song():
    assert not is_songs(["CHORUS:", "Who comes?", "MESSENGER:", "I do."] * 10)


def test_songs_without_titles_are_separated_where_the_first_label_recurs():
    text = "[Verse 1]\na\n\n[Chorus]\nc\n\n[Verse 1]\nb\n\n[Chorus]\nd\n"
    assert [block.kind for block in read_songs(text).blocks] == [
        "paragraph",
        "paragraph",
        "divider",
        "paragraph",
        "paragraph",
    ]


AO3 = """The Lamp
Posted originally on the Archive of Our Own at http://archiveofourown.org/works/1.

Rating: General Audiences
Fandom: Original Work
Language: English

The Lamp
by quill

Summary

A lamp goes out.

Notes

Hello everyone!

{chapters}
End Notes

Thanks!

Come and talk to me.
"""


def test_ao3_chapters(tmp_path: Path):
    chapters = "Chapter 1: Oil\n\nChapter Notes\n\nSorry!\n\nIt went out.\n\nChapter End Notes\n\nMore.\n\nChapter 2\n\nShe lit it.\n\n"
    file = tmp_path / "a.txt"
    file.write_text(AO3.format(chapters=chapters), encoding="utf-8")
    source = open_stories(file)
    assert source.plans[0].format == "ao3"
    text = "\n".join(story.text for story in source)
    assert "It went out." in text
    assert "She lit it." in text
    for note in ("Rating", "Hello", "Sorry", "More", "Thanks", "talk to me", "goes out", "quill"):
        assert note not in text


def test_ao3_of_one_chapter(tmp_path: Path):
    file = tmp_path / "a.txt"
    file.write_text(AO3.format(chapters="It went out.\n\nShe lit it.\n\n"), encoding="utf-8")
    text = "\n".join(story.text for story in open_stories(file))
    assert text.split() == ["It", "went", "out.", "She", "lit", "it."]
