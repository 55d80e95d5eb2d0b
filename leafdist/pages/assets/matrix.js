// The confusion matrix: words for every cell, keys to walk, orders, zoom, and the photos of a cell.
(() => {
  const box = document.getElementById("matrix");
  if (!box) return;
  const table = box.querySelector("table");
  const { classes, photos } = JSON.parse(document.getElementById("matrix-data").textContent);
  const readout = document.getElementById("readout");
  const panel = document.getElementById("selection");
  const columns = [...table.tHead.rows[0].cells].slice(1);
  const rows = [...table.tBodies[0].rows];
  const cells = rows.map((row) => [...row.cells].slice(1));
  const counts = cells.map((row) => row.map((cell) => Number(cell.textContent)));
  const share = (part, whole) => `${((100 * part) / Math.max(whole, 1)).toFixed(1)}\u202f%`;
  let order = classes.map((_, place) => place);
  let here = [0, 0]; // label and answer of the cell that takes the focus
  let size = 0; // pixels of a cell; 0: as fits

  const tell = (value, images, label, said) => {
    const { title } = classes[label];
    const of = `${value} of ${images} photos of ${title}`;
    if (label === said) return `${of} recognised, ${share(value, images)}`;
    if (!value) return `No photo of ${title} called ${classes[said].title}`;
    return `${of} called ${classes[said].title}, ${share(value, images)}`;
  };
  const words = (label, said) => tell(counts[label][said], classes[label].images, label, said);
  const idle = () => {
    const wrong = counts.flatMap((row, label) => row.filter((_, said) => said !== label)).reduce((sum, value) => sum + value, 0);
    return `${wrong} photos were given a wrong class. Point at a cell, tap it, or move to one with the arrow keys.`;
  };

  cells.forEach((row, label) => row.forEach((cell, said) => {
    cell.setAttribute("aria-label", words(label, said));
    cell.tabIndex = label || said ? -1 : 0;
    Object.assign(cell.dataset, { label, said });
  }));

  const light = (table, ...heads) => {
    table.querySelectorAll("th.on").forEach((head) => head.classList.remove("on"));
    heads.forEach((head) => head.classList.add("on"));
  };
  const show = (label, said) => {
    readout.textContent = words(label, said);
    light(table, rows[label].cells[0], columns[said]);
  };
  const place = (cell) => [Number(cell.dataset.label), Number(cell.dataset.said)];
  const cellOf = (event) => event.target.closest("td[data-label]");
  const enter = (cell, before) => {
    before.tabIndex = -1;
    cell.tabIndex = 0;
    cell.focus({ preventScroll: true });
    cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  const focus = (label, said) => {
    const before = cells[here[0]][here[1]];
    here = [label, said];
    enter(cells[label][said], before);
  };

  // Headers stick to the edges of the box: a cell is not to hide below them.
  const margins = (box, table) => {
    const head = table.tHead.rows[0];
    box.style.scrollPadding = `${head.offsetHeight + 4}px 4px 4px ${head.cells[0].offsetWidth + 4}px`;
  };

  const photo = ([path, sure]) => {
    const image = document.querySelector(`main > section img[data-path="${CSS.escape(path)}"]`);
    const item = document.createElement(image ? "figure" : "li");
    const text = document.createElement(image ? "figcaption" : "span");
    text.textContent = image ? `${share(sure, 1)} sure` : `${path}, ${share(sure, 1)} sure`;
    item.title = path;
    if (image) item.append(Object.assign(image.cloneNode(), { loading: "eager" }));
    item.append(text);
    return item;
  };
  const select = (label, said) => {
    table.querySelectorAll('[aria-selected="true"]').forEach((cell) => cell.removeAttribute("aria-selected"));
    cells[label][said].setAttribute("aria-selected", "true");
    const value = counts[label][said];
    const found = photos[`${label},${said}`] ?? [];
    const items = found.map(photo);
    const top = Object.assign(document.createElement("div"), { className: "top" });
    const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
    close.addEventListener("click", () => { clear(); focus(label, said); });
    top.append(Object.assign(document.createElement("h3"), { textContent: words(label, said) }), close);
    panel.replaceChildren(top);
    if (label !== said) {
      const back = document.createElement("p");
      back.className = "soft";
      back.textContent = `The other way round: ${words(said, label)}.`;
      panel.append(back);
    }
    const figures = items.filter((item) => item.tagName === "FIGURE");
    const names = items.filter((item) => item.tagName === "LI");
    if (figures.length) panel.append(list("div", "gallery", figures));
    if (names.length) panel.append(list("ol", "", names));
    if (value > found.length) {
      const rest = document.createElement("p");
      rest.className = "soft";
      rest.textContent = found.length ? `and ${value - found.length} more in the predictions table of the run.` : "";
      panel.append(rest);
    }
    const down = Object.assign(document.createElement("a"), { href: "#selection", tabIndex: -1, textContent: "photos ↓" });
    readout.append(" ", down);
  };
  const list = (tag, className, items) => {
    const element = Object.assign(document.createElement(tag), { className });
    element.append(...items);
    return element;
  };
  const clear = () => {
    panel.replaceChildren();
    table.querySelectorAll('[aria-selected="true"]').forEach((cell) => cell.removeAttribute("aria-selected"));
  };

  const keys = {
    ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
    Home: [0, -Infinity], End: [0, Infinity], PageUp: [-5, 0], PageDown: [5, 0],
  };
  const clamp = (value, length = order.length) => Math.min(Math.max(value, 0), length - 1);
  const way = (event) => {
    const [down, across] = keys[event.key];
    return [event.ctrlKey && Math.abs(across) === Infinity ? across : down, across];
  };
  table.addEventListener("keydown", (event) => {
    if (!cellOf(event)) return;
    if (event.key === "Enter" || event.key === " ") select(...here);
    else if (event.key === "Escape") clear();
    else if (event.key in keys) {
      const [down, across] = way(event);
      focus(order[clamp(order.indexOf(here[0]) + down)], order[clamp(order.indexOf(here[1]) + across)]);
    } else return;
    event.preventDefault();
  });
  table.addEventListener("focusin", (event) => cellOf(event) && show(...place(cellOf(event))));
  table.addEventListener("pointerover", (event) => cellOf(event) && show(...place(cellOf(event))));
  table.addEventListener("click", (event) => {
    const cell = cellOf(event);
    if (!cell) return;
    focus(...place(cell));
    select(...place(cell));
  });

  const errors = (label) => classes[label].images ? 1 - counts[label][label] / classes[label].images : -1;
  const orders = {
    class: () => classes.map((_, label) => label),
    errors: () => orders.class().sort((a, b) => errors(b) - errors(a)),
    crop: () => {
      const wrong = new Map();
      classes.forEach(({ crop, images }, label) => {
        const [bad, all] = wrong.get(crop) ?? [0, 0];
        wrong.set(crop, [bad + images - counts[label][label], all + images]);
      });
      const rate = (label) => wrong.get(classes[label].crop)[0] / Math.max(wrong.get(classes[label].crop)[1], 1);
      return orders.class().sort((a, b) =>
        rate(b) - rate(a) || classes[a].crop.localeCompare(classes[b].crop) || errors(b) - errors(a));
    },
  };
  const arrange = (name) => {
    order = orders[name]();
    const apart = order.map((label, at) => name !== "errors" && at > 0 && classes[label].crop !== classes[order[at - 1]].crop);
    table.tHead.rows[0].append(...order.map((said) => columns[said]));
    table.tBodies[0].append(...order.map((label) => rows[label]));
    order.forEach((label, at) => {
      rows[label].append(...order.map((said) => cells[label][said]));
      rows[label].classList.toggle("apart", apart[at]);
      for (const head of [columns[label], ...cells.map((row) => row[label])]) head.classList.toggle("apart-left", apart[at]);
    });
  };

  const fit = () => {
    const room = box.clientWidth - table.querySelector(".corner").offsetWidth - classes.length - 32;
    return Math.min(Math.max(Math.floor(room / classes.length), 14), 44);
  };
  const resize = () => {
    const pixels = size || fit();
    table.style.setProperty("--cell", `${pixels}px`);
    box.classList.toggle("zoomed", size > fit());
    table.classList.toggle("roomy", pixels >= 20);
    margins(box, table);
  };
  document.querySelectorAll("[data-order]").forEach((button) => button.addEventListener("click", () => {
    document.querySelectorAll("[data-order]").forEach((other) => other.setAttribute("aria-pressed", other === button));
    arrange(button.dataset.order);
  }));
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => {
    const step = Number(button.dataset.zoom);
    size = step ? Math.min(Math.max(Math.round((size || fit()) * 1.25 ** step), 10), 64) : 0;
    resize();
  }));
  // The matrices of other roots: the same words and keys.
  document.querySelectorAll(".matrix.still table").forEach((other) => {
    const grid = [...other.tBodies[0].rows].map((row) => [...row.cells].slice(1));
    grid.forEach((row) => row.forEach((cell, said) => {
      const label = classes.findIndex(({ name }) => name === cell.parentNode.cells[0].title);
      const images = row.reduce((sum, { textContent }) => sum + Number(textContent), 0);
      cell.setAttribute("aria-label", tell(Number(cell.textContent), images, label, said));
      cell.tabIndex = cell === grid[0][0] ? 0 : -1;
    }));
    other.addEventListener("focusin", ({ target }) => light(other, target.parentNode.cells[0], other.tHead.rows[0].cells[target.cellIndex]));
    other.addEventListener("keydown", (event) => {
      if (!(event.key in keys)) return;
      const [down, across] = way(event);
      const row = grid[clamp(event.target.parentNode.sectionRowIndex + down, grid.length)];
      margins(other.parentNode, other);
      enter(row[clamp(event.target.cellIndex - 1 + across, row.length)], event.target);
      event.preventDefault();
    });
  });
  addEventListener("resize", resize);
  readout.textContent = idle();
  arrange("class");
  resize();
})();
