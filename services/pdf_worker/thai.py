"""Where a line of Thai, Lao, Khmer or Burmese may end.

These scripts put no space between words. Without a dictionary (megabytes, and one per language) words cannot be told
apart, but syllable clusters can: a vowel written before its consonant always begins one, and a sign above or below
always belongs to the letter before it. Breaking at such places never separates what belongs to one letter.
"""

import re

_BEGINS = re.compile(
    "(?<=.)(?=[\u0e40-\u0e44\u0ec0-\u0ec4])"  # Thai and Lao vowels that stand before their consonant
    "|(?<=[\u0e2f\u0e30\u0e46\u0eb0\u0ec6])(?=[\u0e01-\u0e2e\u0e81-\u0eae])"  # after a final vowel
    "|(?<=[\u17d4\u17d5\u104a\u104b])"  # after the full stops of Khmer and Burmese
    "|(?<=[\u1036-\u1038\u17c7\u17c8])(?=[\u1000-\u102a\u1780-\u17b3])"  # after their tone and visarga
)


def syllables(text: str) -> list[str]:
    """Split a run without spaces into parts between which a line may end."""
    return [part for part in _BEGINS.split(text) if part]
