"""The gateway's faces: async Django views that parse, admit and answer. No ORM, no threads."""
