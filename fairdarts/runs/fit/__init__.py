"""From class folders of images to a model that fits a budget: what is asked, seen, chosen, and done."""
