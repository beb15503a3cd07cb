"""The terms of the pages, each in one sentence."""

TERMS = (
    (
        "Base model",
        "The model that training started from. It was trained on much text, but not on these stories intentionally.",
    ),
    (
        "Held-out stories",
        "Stories that were set aside before training, to show how well the model predicts new stories.",
    ),
    (
        "Bits per byte",
        "The mean number of bits that a model needs to predict the next byte (about one character) of a text; fewer bits mean a better prediction.",
    ),
    (
        "Perplexity",
        "The number of equally likely tokens (or words) that would make a model as uncertain as it is.",
    ),
    (
        "Token",
        "The unit in which a model reads and writes: a word or a part of one.",
    ),
    ("Step", "One update of the model's weights, after reading a batch of training text."),
    ("Training loss", "How badly the model predicts the tokens of the training stories."),
    (
        "Validation loss",
        "The same for held-out stories; when it rises, the model is memorising its training stories.",
    ),
    (
        "Learning curve",
        "How well the model predicts the held-out stories in the course of training.",
    ),
    (
        "Voice",
        "How much more training helped the model with this author's stories than with other authors'.",
    ),
    (
        "Function words",
        "Words such as “the”, “but” and “of”, which everybody uses, but at different rates.",
    ),
    (
        "95 % interval",
        "The range in which the figure would usually lie if other stories had been held out or written.",
    ),
    (
        "Cluster",
        "Stories that are near-duplicates of each other; they count as one piece of evidence.",
    ),
    ("Repeated 4-grams", "Phrases of four words that a story has used before."),
    (
        "Self-BLEU",
        "How much each story of a set consists of phrases from the others; a higher value means that the stories are more alike.",
    ),
    (
        "Compression ratio",
        "How many times smaller the stories become by compression; a higher value means more repetition.",
    ),
    (
        "New words",
        "Words that occur in no training story: names, rare words, and strings that are not words.",
    ),
    (
        "Non-words",
        "New words that are in no list of the language's words either: names, and strings that are not words.",
    ),
    (
        "Distinct 2-grams, distinct 3-grams",
        "The share of different pairs, or triples, of words among all of them; a higher value means a richer vocabulary.",
    ),
    (
        "Zipf slope",
        "How fast the frequency of words falls with their rank; for people's text it is near −1.",
    ),
    (
        "Perplexity gap",
        "How many more bits per byte a model needs for its own stories than for people's; far below 0 means that it writes only likely text.",
    ),
    (
        "Copied",
        "A passage of 50 characters or more that occurs, character for character, in a training story.",
    ),
    (
        "Temperature, top-k, top-p, min-p",
        "Settings that make a model choose likelier words (a lower temperature) or exclude unlikely ones.",
    ),
    ("Seed", "The start of the random number generator; the same seed gives the same story."),
    (
        "Notebook's loss",
        "The validation loss as the notebook baseline counts it, including markers and padding; it is only for comparison with the notebook's figures.",
    ),
)
