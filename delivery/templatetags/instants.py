"""Filters that show instants in the one style of the product, on the clock of the page."""

from django import template

from adminpages import instants

register = template.Library()
for _show in (instants.stamp, instants.ahead, instants.stamp_exactly, instants.day, instants.on_clock):
    register.filter(_show.__name__, _show)
