"""The AWS of the embedded platform: the services, and the front that all clients call."""
