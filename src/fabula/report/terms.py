"""The terms of the pages, each in one sentence."""

TERMS = (
    (
        "Base model",
        "The model that training started from; it has read much text, but not these stories on purpose.",
    ),
    (
        "Held-out stories",
        "Stories that were set aside before training, so that they can show what the model makes of new ones.",
    ),
    (
        "Bits per byte",
        "What a model needs, on average, to guess the next byte (about one character) of a text; fewer means that the text surprises it less.",
    ),
    (
        "Perplexity",
        "Among how many equally likely tokens (or words) a model would have to choose to be as unsure as it is.",
    ),
    (
        "Token",
        "The unit in which a model reads and writes: a word or a part of one.",
    ),
    ("Step", "One correction of the model's weights, made after reading a batch of training text."),
    ("Training loss", "How badly the model guesses the tokens of the stories that it is being trained on."),
    ("Validation loss", "The same for held-out stories; when it rises, the model is learning by heart."),
    (
        "Learning curve",
        "How well the held-out stories are predicted as training goes on.",
    ),
    (
        "Voice",
        "How much more training helped the model with this author's stories than with other authors'.",
    ),
    (
        "Function words",
        "Words such as “the”, “but” and “of”, which everybody needs and everybody uses at a rate of their own.",
    ),
    (
        "95 % interval",
        "The range in which the figure would usually lie if other stories had been held out or written.",
    ),
    (
        "Cluster",
        "Stories that are nearly the same; they count as one piece of evidence.",
    ),
    ("Repetition", "What a story says again: phrases of four words that it has used before, or a loop."),
    (
        "Self-BLEU",
        "How far each story of a set can be put together from phrases of the others; more means that they are alike.",
    ),
    (
        "Compression ratio",
        "How many times smaller a packing program makes the stories; more means that they repeat each other.",
    ),
    (
        "New words",
        "Words that occur in no training story: names, rare words, and what is no word at all.",
    ),
    (
        "Distinct 2-grams, distinct 3-grams",
        "How many different pairs, or triples, of words there are among all of them; more means a richer choice of words.",
    ),
    (
        "Zipf slope",
        "How fast words get rarer from the commonest one on; people's text lies near −1.",
    ),
    (
        "Perplexity gap",
        "How much more a model is surprised by its own stories than by people's; far below 0, it plays safe.",
    ),
    (
        "Copied",
        "A passage of 50 characters or more that occurs, character for character, in a training story.",
    ),
    (
        "Temperature, top-k, top-p, min-p",
        "Settings that make a model choose likelier words (lower temperature) or leave the unlikely ones out.",
    ),
    ("Seed", "The number that the random draws start from; the same seed gives the same story."),
    (
        "Notebook's loss",
        "The validation loss as the notebook baseline counts it, markers and padding included, for comparison with its figures only.",
    ),
)
