"""The demos: stories of what people do, run on the embedded platform and told line by line."""
