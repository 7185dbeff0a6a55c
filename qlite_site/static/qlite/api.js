// Starts Swagger UI or Redoc on the description of the API. Neither may ask anybody but this gateway.
(function () {
  "use strict";

  const place = document.getElementById("api");
  const url = place.dataset.description;

  // The colours that were chosen on the other pages, else those of the system. Redoc has light ones only.
  function dark() {
    let chosen = null;
    try { chosen = localStorage.getItem("qlite-theme"); } catch { /* a private window */ }
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  if (place.dataset.shownBy === "swagger") {
    document.documentElement.classList.toggle("dark-mode", dark());
    window.SwaggerUIBundle({
      url,
      domNode: place,
      deepLinking: true,
      validatorUrl: null,
      tryItOutEnabled: true,
      persistAuthorization: false,
      defaultModelsExpandDepth: 0,
      displayRequestDuration: true,
      syntaxHighlight: { activated: true, theme: "agate" },
    });
  } else {
    const font = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif";
    const accent = "#2352c4";
    window.Redoc.init(url, {
      disableSearch: true, // it runs in a worker made of text, which the policy of the page forbids
      hideDownloadButton: true,
      expandResponses: "200",
      scrollYOffset: ".api-top",
      nativeScrollbars: true,
      theme: {
        colors: { primary: { main: accent }, text: { primary: "#1a1f2b" } },
        sidebar: { backgroundColor: "#f5f6f8", textColor: "#1a1f2b" },
        rightPanel: { backgroundColor: "#1b2130" },
        typography: {
          fontFamily: font,
          headings: { fontFamily: font, fontWeight: "650" },
          code: { color: "#a5231c", fontFamily: "ui-monospace, Menlo, Consolas, 'Liberation Mono', monospace" },
          links: { color: accent },
        },
      },
    }, place);
  }
})();
