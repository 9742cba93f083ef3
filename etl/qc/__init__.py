"""Quality control: each module measures, names reasons, or decides; nothing here knows paths."""
