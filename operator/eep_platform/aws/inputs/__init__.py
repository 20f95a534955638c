"""Inputs of calls to services that the emulator has: parses them, and refuses what AWS refuses.

The emulator takes nearly every input. `check` judges by botocore's model of the service, which has AWS's lengths,
ranges, patterns and enumerations, and by the rules of the other modules: what AWS documents and no model has.
"""
