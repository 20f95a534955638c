"""Images: references, checks, the repository of a class, and the images that are made for objects."""
