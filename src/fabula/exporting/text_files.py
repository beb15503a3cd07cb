"""The files of an export that define how text becomes tokens, and how a story begins and ends."""

from pathlib import Path

from fabula.files import read_json, write_json
from fabula.models.story_format import StoryFormat, find_story_format
from fabula.tokens.tokenizer import load_tokenizer


def write_text_files(folder: Path, out: Path, configurations: tuple[str, ...] = ()) -> StoryFormat:
    """Write the tokenizer of the model in `folder`, and the named configurations, to `out`. They name the tokens that
    begin and end a story, and have no chat template, whatever the model's own files say."""
    tokenizer = load_tokenizer(folder)
    story_format = find_story_format(folder, tokenizer)
    story_format.apply_to_tokenizer(tokenizer)
    tokenizer.save_pretrained(out)
    for name in configurations:
        stated = read_json(folder / name) if (folder / name).is_file() else {}
        stated |= {"bos_token_id": story_format.start_id, "eos_token_id": story_format.end_id}
        write_json(out / name, stated)
    return story_format
