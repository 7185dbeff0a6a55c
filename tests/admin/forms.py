"""What a browser sends of a page's forms when nobody has changed anything."""

from html.parser import HTMLParser


class Fields(HTMLParser):
    """Collects the fields of all forms of a page, by name, as they stand."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sent: dict[str, str] = {}
        self._select = self._area = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, kind = given.get("name", ""), given.get("type", "")
        if tag == "input" and name and kind not in {"submit", "button"}:
            ticks = kind in {"checkbox", "radio"}
            if not ticks or "checked" in given:
                self.sent[name] = given.get("value", "on" if ticks else "")
        elif tag == "select":
            self._select = name
        elif tag == "textarea":
            self._area, self.sent[name] = name, ""
        elif tag == "option" and self._select and ("selected" in given or self._select not in self.sent):
            self.sent[self._select] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.sent[self._area] += data
