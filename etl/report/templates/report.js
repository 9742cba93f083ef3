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

// Printed pages are narrower than the window: plotly has to draw anew for them.
const redraw = () => document.querySelectorAll(".js-plotly-plot").forEach((plot) => Plotly.Plots.resize(plot));
window.addEventListener("beforeprint", redraw);
window.addEventListener("afterprint", redraw);

draw().catch((error) => {
  document.getElementById("no-figures").hidden = false;
  console.error(error);
});
