"""The pages of campaigns outside the admin.

Views are thin: they check the permission, call one use case with ids and the time, and show the result.
"""
