// The figures and the plotting library stand in the page as base64 of gzip.
const unpack = async (id) => {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
};

const draw = async () => {
  const library = document.createElement("script");
  library.textContent = await unpack("plotly");
  document.head.append(library);
  const panels = JSON.parse(await unpack("payload"));
  const settings = { displayModeBar: false, responsive: true };
  for (const [name, panel] of Object.entries(panels)) {
    await Plotly.newPlot(`figure-${name}`, panel.figure.data, panel.figure.layout, settings);
  }
  for (const button of document.querySelectorAll("button.data")) {
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([panels[button.dataset.panel].csv], { type: "text/csv" }));
      link.download = `${button.dataset.panel}.csv`;
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }
  document.body.dataset.figures = Object.keys(panels).length;
};

// A printed page is narrower than the window: two panels stand side by side on A4, 182 mm between the margins.
// Sankey diagrams fade in when they are drawn anew, too late for the page: the style sheet shrinks them.
const setWidths = (widthOf) =>
  document.querySelectorAll(".js-plotly-plot").forEach((plot) => {
    if (plot.data[0].type === "sankey") return;
    const width = widthOf(plot.closest(".panel").classList.contains("wide"));
    Plotly.relayout(plot, { width, autosize: width === null });
  });
window.addEventListener("beforeprint", () => setWidths((wide) => (wide ? 680 : 332)));
window.addEventListener("afterprint", () => setWidths(() => null));

draw().catch((error) => {
  document.getElementById("no-figures").hidden = false;
  console.error(error);
});
