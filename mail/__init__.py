"""The rules of Internet mail as plain functions and frozen values: no Django, no socket, no clock."""
