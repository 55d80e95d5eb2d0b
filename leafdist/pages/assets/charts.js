// Line charts: the legend gives the values under the pointer, and those of the end when it has left.
for (const figure of document.querySelectorAll("figure.chart")) {
  const svg = figure.querySelector(":scope > svg");
  const cursor = svg.querySelector(".cursor");
  const frame = JSON.parse(figure.dataset.frame);
  const lines = JSON.parse(figure.dataset.lines);
  const shown = [...figure.querySelectorAll(".now")];
  const at = figure.querySelector(".at");
  const ends = shown.map((item) => item.textContent);
  const [low, high, start, end] = frame.x;

  const write = (value) => {
    if (value === null) return "–";
    if (frame.unit === "percent") return `${(100 * value).toFixed(1)}\u202f%`;
    const small = value > 0 && value < 1e-3;
    return small ? Number(value.toPrecision(3)).toExponential() : Number(value.toPrecision(3)).toString();
  };
  const nearest = (values, x) =>
    values.reduce((best, value, place) => (Math.abs(value - x) < Math.abs(values[best] - x) ? place : best), 0);

  const look = (event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const wanted = low + ((place.x - start) / (end - start)) * (high - low);
    const coarse = lines.reduce((one, other) => (other.x.length < one.x.length ? other : one));
    const x = coarse.x[nearest(coarse.x, wanted)];
    const px = start + ((x - low) / (high - low || 1)) * (end - start);
    cursor.setAttribute("x1", px);
    cursor.setAttribute("x2", px);
    cursor.setAttribute("visibility", "visible");
    lines.forEach((line, number) => {
      shown[number].textContent = write(line.y[nearest(line.x, x)]);
    });
    at.textContent = `at ${frame.axis} ${Number(x.toFixed(2))}`;
  };
  const leave = () => {
    cursor.setAttribute("visibility", "hidden");
    shown.forEach((item, number) => { item.textContent = ends[number]; });
    at.textContent = "at the end";
  };
  if (lines.length) {
    svg.addEventListener("pointermove", look);
    svg.addEventListener("pointerdown", look);
    svg.addEventListener("pointerleave", leave);
  }
}
