"""From a recording to labels: frames for a labelling tool, and what it exports as a data set to train on."""
