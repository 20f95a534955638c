"""IAM in the embedded AWS: calls signed with a key that is held to policies are authorised before all else.

The emulator can enforce IAM for its own services only, does not know the conditions on tags in all of them, and knows
nothing of the services that stand beside it. Here all are treated alike: ``iam.authorization`` says what AWS asks for
when an operation is called, ``policies`` whether a policy allows it, ``lookups`` what AWS knows about a resource.
"""
