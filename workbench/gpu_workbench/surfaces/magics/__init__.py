"""``%gpu`` and ``%%gpu``: they parse a line, call the app and draw what comes back."""
