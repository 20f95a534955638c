"""AWS CodeBuild on this machine: its JSON API, and builds that really run as processes, each in its own folder.

The API follows the API reference and botocore's model of it; builds follow the user guide (Build phase transitions,
Build specification reference, Environment variables in build environments).
"""
