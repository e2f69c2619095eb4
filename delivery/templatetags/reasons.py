"""A filter that shows a message's stored reason in the language of the reader, where the sentence is ours."""

from django import template

from words.reasons import as_sentence

register = template.Library()


@register.filter
def sentence(stored: str) -> str:
    return as_sentence(stored)
