// A photo as training saw it: Pillow's resize (libImaging/Resample.c, 8 bits a channel), across and then down. Pillow 13
// goes down first where the height shrinks by more than twice what the width does: a few levels of 255 apart.
const FILTERS = { // how far it reaches, and its weight at a distance; bicubic with a = -0.5
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, (x) => {
    const at = Math.abs(x);
    if (at < 1) return (1.5 * at - 2.5) * at * at + 1;
    return at < 2 ? (((at - 5) * at + 8) * at - 4) * -0.5 : 0;
  }],
};
const BITS = 22; // of a weight, behind the point
const ROWS = 256; // of the photo in a canvas at once: phones have small ones

// For each pixel from `start` to `end` of `size`, made `side`: the first pixel that it is made of, and their weights.
function weights(size, start, end, side, [reach, filter]) {
  const scale = (end - start) / side, wide = Math.max(scale, 1), support = reach * wide;
  return Array.from({ length: side }, (_, index) => {
    const center = start + (index + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5)), last = Math.min(size, Math.trunc(center + support + 0.5));
    const parts = Array.from({ length: last - first }, (_, step) => filter((step + first - center + 0.5) * (1 / wide)));
    const sum = parts.reduce((one, other) => one + other, 0);
    return [first, parts.map((part) => { const whole = (part / sum) * 2 ** BITS; return Math.trunc(whole < 0 ? whole - 0.5 : whole + 0.5); })];
  });
}

// One pixel: red, green and blue from `start` on, `step` values from one of its parts to the next.
function blend(from, start, step, [first, parts], to, index) {
  for (let channel = 0; channel < 3; channel++) {
    let sum = 2 ** (BITS - 1);
    for (let part = 0, at = start + first * step + channel; part < parts.length; part++, at += step) sum += from[at] * parts[part];
    to[index + channel] = sum >> BITS; // a Uint8ClampedArray clips
  }
}

// ImageBitmap -> Uint8Array of side x side x 3
function squared(photo, { side, fit, filter }) {
  const { width, height } = photo, short = Math.min(width, height);
  const edges = (size) => (fit === "crop" ? [(size - short) / 2, (size + short) / 2] : [0, size]);
  const across = weights(width, ...edges(width), side, FILTERS[filter]), down = weights(height, ...edges(height), side, FILTERS[filter]);
  const narrow = new Uint8ClampedArray(height * side * 3), square = new Uint8ClampedArray(side * side * 3);
  const canvas = Object.assign(document.createElement("canvas"), { width, height: Math.min(ROWS, height) });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < height; top += ROWS) {
    const rows = Math.min(ROWS, height - top);
    context.clearRect(0, 0, width, ROWS);
    context.drawImage(photo, 0, -top);
    const { data } = context.getImageData(0, 0, width, rows);
    for (let alpha = 3; alpha < data.length; alpha += 4) if (data[alpha] < 255) throw new Error("transparent");
    for (let row = 0; row < rows; row++) across.forEach((part, x) => blend(data, row * width * 4, 4, part, narrow, ((top + row) * side + x) * 3));
  }
  down.forEach((part, y) => { for (let x = 0; x < side; x++) blend(narrow, x * 3, side * 3, part, square, (y * side + x) * 3); });
  return new Uint8Array(square.buffer);
}
