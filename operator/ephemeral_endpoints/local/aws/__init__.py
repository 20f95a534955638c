"""The AWS of the embedded platform: the emulator, and the metered front that every client talks to."""
