"""IAM in the embedded AWS: authorizes the calls of access keys and roles that are restricted to policies.

The emulator enforces IAM only for its own services, and lacks conditions on tags for some. The guard treats all
services alike: ``authorization`` lists the actions that an operation requires, ``policies`` evaluates policies, and
``lookups`` reads the tags of resources.
"""
