// What the pages do beyond plain HTML: the light and dark switch, copy buttons, the chart. Everything works without it.
(function () {
  "use strict";

  const root = document.documentElement;
  const KEPT = "qlite-theme";

  function kept() {
    try { return localStorage.getItem(KEPT); } catch { return null; }
  }

  function dark() {
    const chosen = root.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  // Runs in <head>, before anything is painted.
  if (kept() === "dark" || kept() === "light") root.dataset.theme = kept();

  function nameSwitch() {
    document.querySelectorAll("[data-theme-switch]").forEach((button) => {
      button.hidden = false;
      button.textContent = dark() ? "Light" : "Dark";
      button.setAttribute("aria-label", dark() ? "Use light colours" : "Use dark colours");
    });
  }

  function switchTheme() {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem(KEPT, root.dataset.theme); } catch { /* private window: it holds for this page */ }
    nameSwitch();
    drawCharts();
  }

  async function copy(button) {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
    } catch { // no clipboard on plain http: select it, so that Ctrl+C does the rest
      getSelection().selectAllChildren(source);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  const dollars = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", maximumFractionDigits: 9 });
  const ticks = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", maximumFractionDigits: 9, minimumFractionDigits: 0 });

  function drawCharts() {
    if (!window.Chart) return;
    const probe = document.body.appendChild(document.createElement("i"));
    const colour = (name) => {
      probe.style.color = "var(" + name + ")";
      return getComputedStyle(probe).color;
    };
    document.querySelectorAll("canvas[data-chart]").forEach((canvas) => {
      const data = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
      window.Chart.getChart(canvas)?.destroy();
      new window.Chart(canvas, {
        type: "bar",
        data: {
          labels: data.labels,
          datasets: data.series.map((each, index) => ({
            label: each.name,
            data: each.values,
            backgroundColor: colour("--series-" + (each.rest ? 8 : (index % 7) + 1)),
            borderRadius: 2,
            maxBarThickness: 34,
          })),
        },
        options: {
          animation: false,
          maintainAspectRatio: false,
          interaction: { mode: "index", intersect: false },
          scales: {
            x: { stacked: true, grid: { display: false }, border: { color: colour("--line-strong") }, ticks: { color: colour("--muted"), maxRotation: 0, autoSkipPadding: 12 } },
            y: { stacked: true, grid: { color: colour("--line") }, border: { display: false }, ticks: { color: colour("--muted"), maxTicksLimit: 6, callback: (value) => ticks.format(value) } },
          },
          plugins: {
            legend: { display: data.series.length > 1, position: "bottom", labels: { color: colour("--ink"), boxWidth: 10, boxHeight: 10, useBorderRadius: true, borderRadius: 2, padding: 14 } },
            tooltip: {
              filter: (item) => item.parsed.y !== 0,
              callbacks: { label: (item) => " " + item.dataset.label + ": " + dollars.format(item.parsed.y) },
            },
          },
        },
      });
    });
    probe.remove();
  }

  document.addEventListener("click", (event) => {
    const at = event.target.closest("[data-copy], [data-theme-switch], [data-print]");
    if (!at) return;
    if (at.dataset.copy) copy(at);
    else if (at.hasAttribute("data-print")) window.print();
    else switchTheme();
  });
  // A choice from a list takes effect at once; days are typed, so they wait for the button.
  document.addEventListener("change", (event) => {
    if (event.target.matches("form[data-live] select")) event.target.form.requestSubmit();
  });
  document.addEventListener("DOMContentLoaded", () => {
    nameSwitch();
    drawCharts();
    document.querySelectorAll("[data-needs-script]").forEach((each) => { each.hidden = false; });
  });
  document.addEventListener("htmx:afterSettle", drawCharts);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { nameSwitch(); drawCharts(); });
})();
