"""From a file of stories to a model and its page, in the browser: projects, one for each run folder."""
