"""AWS CodeBuild on this machine: its JSON API, and builds that really run, each as processes in a folder of its own.

What the API answers follows the API reference and botocore's model of it; how a build runs follows the user guide
(Build phase transitions, Build specification reference, Environment variables in build environments).
"""
