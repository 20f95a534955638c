"""The controllers: which steps are taken for an object, in which order."""
