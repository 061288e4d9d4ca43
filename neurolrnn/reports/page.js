"use strict";
// Each chart is a JSON specification beside its place; a checkbox that says "log" changes the scale of its y axis.
const config = {
  background: "transparent",
  axis: { gridColor: "#88888840", domainColor: "#888888", tickColor: "#888888", labelFontSize: 12, titleFontSize: 12 },
  legend: { labelFontSize: 12, titleFontSize: 12, orient: "bottom", columns: 3, symbolLimit: 40 },
  view: { stroke: "#88888840" },
};
for (const place of document.querySelectorAll(".chart")) {
  const spec = JSON.parse(document.getElementById(place.dataset.spec).textContent);
  const box = document.getElementById(place.dataset.spec + "-log");
  const draw = () => {
    if (box) {
      const scale = box.checked ? { type: "log" } : { type: "linear", zero: false };
      for (const layer of spec.layer || [spec]) if (layer.encoding && layer.encoding.y) layer.encoding.y.scale = scale;
    }
    return window.vegaEmbed(place, spec, { actions: false, renderer: "svg", config: config, tooltip: { theme: "custom" } })
      .catch((error) => { place.textContent = "This chart could not be drawn: " + error; console.error(error); });
  };
  if (box) box.addEventListener("change", draw);
  draw();
}
