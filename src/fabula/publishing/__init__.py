"""Publishing a model: a repository with a card, a Space, a static site."""
