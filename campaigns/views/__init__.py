"""The pages of a campaign beside its form, by what they are about.

Thin: they check the permission, call one use case with ids and the time, and show what came back.
"""
