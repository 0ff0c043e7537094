"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const [height, width, channels] = data.shape;
const element = (id) => document.getElementById(id);

const WORDS = {
  en: {
    language: "Language", intro: "A trained generator runs in this page. The generator draws each picture from random numbers, the latents.",
    draw: "Draw", across: "Left to right", down: "Top to bottom", classes: "Class", newLatents: "New latents",
    planeHelp: "The four corners are four latents. Drag the point, or use the two sliders, to see what lies between them.",
    wall: "A wall of 100", newWall: "Draw another 100", wallLabel: "One hundred samples",
    film: "The film of the training", filmHelp: "The same latents after each epoch.", epoch: (n) => `Epoch ${n}`,
    play: "Play", filmLabel: (n) => `Samples after epoch ${n}`,
    hand: "Your handwriting", handHelp: "Draw a digit with a mouse, a finger or the keyboard. A classifier reads the digit.",
    pad: "Drawing area. The arrow keys move the pen. Space sets the pen down or lifts it.",
    clear: "Clear", chances: "How sure the classifier is of each digit", nothing: "Nothing is drawn yet.",
    reads: (digit, percent) => `It reads ${digit}, and is ${percent} % sure.`,
    collect: "Collect your handwriting", collectHelp: "Draw a digit, then press the button of this digit. Collect about 30 drawings of each digit. Then train a GAN with your handwriting.",
    keepLabel: "The digit that you drew", keep: (digit) => `Keep the drawing as ${digit}`,
    collected: (counts) => `Collected: ${counts}`, none: "nothing", thumbnails: "The collected drawings",
    undo: "Remove the last drawing", download: "Download mine.npz", train: "Move mine.npz into the fit-gan folder. Then run in this folder:",
    sample: (name) => (name === null ? "A sample" : `A sample of the class ${name}`),
  },
  pt: {
    language: "Idioma", intro: "Um gerador treinado funciona nesta página. Ele cria cada imagem a partir de números aleatórios, os latentes.",
    draw: "Desenhar", across: "Horizontal", down: "Vertical", classes: "Classe", newLatents: "Novos latentes",
    planeHelp: "Os quatro cantos são quatro latentes. Arraste o ponto, ou use as duas barras deslizantes, para ver o que está entre os cantos.",
    wall: "100 amostras", newWall: "Desenhar outras 100", wallLabel: "Cem amostras",
    film: "O filme do treino", filmHelp: "Os mesmos latentes depois de cada época.", epoch: (n) => `Época ${n}`,
    play: "Reproduzir", filmLabel: (n) => `Amostras depois da época ${n}`,
    hand: "A sua caligrafia", handHelp: "Desenhe um algarismo com o mouse, o dedo ou o teclado. Um classificador lê o desenho.",
    pad: "Área de desenho. As setas movem a caneta. A barra de espaço baixa ou levanta a caneta.",
    clear: "Limpar", chances: "A certeza do classificador para cada algarismo", nothing: "Ainda não há nenhum desenho.",
    reads: (digit, percent) => `O classificador lê ${digit}, com ${percent} % de certeza.`,
    collect: "Reúna os seus algarismos", collectHelp: "Desenhe um algarismo e depois pressione o botão desse algarismo. Reúna cerca de 30 desenhos de cada algarismo. Depois treine uma GAN com a sua caligrafia.",
    keepLabel: "O algarismo que desenhou", keep: (digit) => `Guardar o desenho como ${digit}`,
    collected: (counts) => `Coleção: ${counts}`, none: "vazia", thumbnails: "Os desenhos da coleção",
    undo: "Remover o último desenho", download: "Fazer download de mine.npz", train: "Mova mine.npz para a pasta do fit-gan. Depois execute nessa pasta:",
    sample: (name) => (name === null ? "Uma amostra" : `Uma amostra da classe ${name}`),
  },
};
let words = WORDS.en;

// ---- The worker ----

const worker = new Worker(URL.createObjectURL(new Blob([element("worker").textContent], { type: "text/javascript" })));
const waiting = new Map();
worker.onmessage = ({ data: { id, output } }) => {
  waiting.get(id)(output);
  waiting.delete(id);
};
worker.postMessage({ networks: data.networks });
let requests = 0;

function compute(network, ...inputs) {
  return new Promise((resolve) => {
    waiting.set(++requests, resolve);
    worker.postMessage({ id: requests, network, inputs });
  });
}

// In the console of the browser: await generate(newLatents(), 3) gives the pixels in [-1, 1].
function generate(latents, label) {
  return data.classes ? compute("generator", latents, [label]) : compute("generator", latents);
}

// ---- Latents and pictures ----

function newLatents() {
  const length = data.networks.generator.nodes[0].shape[0];
  return Float32Array.from({ length }, () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
}

// Along a great circle, as `gan.sampling.interpolate`.
function interpolate(start, end, fraction) {
  const dot = (a, b) => a.reduce((sum, x, at) => sum + x * b[at], 0);
  const angle = Math.acos(Math.min(1, Math.max(-1, dot(start, end) / Math.sqrt(dot(start, start) * dot(end, end)))));
  const weights = Math.sin(angle) < 1e-6 ? [1 - fraction, fraction]
    : [Math.sin((1 - fraction) * angle) / Math.sin(angle), Math.sin(fraction * angle) / Math.sin(angle)];
  return start.map((x, at) => weights[0] * x + weights[1] * end[at]);
}

function paint(canvas, pixels, left = 0, top = 0) {
  const image = new ImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    for (let color = 0; color < 3; color++) {
      image.data[4 * at + color] = Math.round((pixels[at * channels + (color % channels)] + 1) * 127.5);
    }
    image.data[4 * at + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, left, top);
}

function setSize(canvas, columns = 1, rows = 1) {
  canvas.width = columns * width;
  canvas.height = rows * height;
}

// ---- Draw: the plane between four latents ----

const plane = { corners: [], across: 0.5, down: 0.5, label: 0, isBusy: false, isOld: false };

async function showPicture() {
  element("handle").style.left = `${8 + 84 * plane.across}%`;
  element("handle").style.top = `${8 + 84 * plane.down}%`;
  element("across").value = plane.across;
  element("down").value = plane.down;
  plane.isOld = true;
  if (plane.isBusy) return; // the running call draws the newest position too
  plane.isBusy = true;
  while (plane.isOld) {
    plane.isOld = false;
    const [a, b, c, d] = plane.corners, { across, down, label } = plane;
    const latents = interpolate(interpolate(a, b, across), interpolate(c, d, across), down);
    paint(element("picture"), await generate(latents, label));
  }
  plane.isBusy = false;
  describePicture();
}

function describePicture() {
  const text = words.sample(data.classes ? data.classes[plane.label] : null);
  element("picture").setAttribute("aria-label", text);
  element("caption").textContent = text;
}

async function showCorners() {
  for (let corner = 0; corner < 4; corner++) {
    paint(element(`corner-${corner}`), await generate(plane.corners[corner], plane.label));
  }
}

function takeNewLatents() {
  plane.corners = [newLatents(), newLatents(), newLatents(), newLatents()];
  return showPicture().then(showCorners);
}

function movePoint(event) {
  const box = element("plane").getBoundingClientRect();
  const place = (at, start, size) => Math.min(1, Math.max(0, ((at - start) / size - 0.08) / 0.84));
  plane.across = place(event.clientX, box.left, box.width);
  plane.down = place(event.clientY, box.top, box.height);
  showPicture();
}

function chooseClass(label) {
  plane.label = label;
  document.querySelectorAll("#classes button").forEach((button, number) => button.setAttribute("aria-pressed", number === label));
  showPicture().then(showCorners);
}

function setUpDrawing() {
  [element("picture"), ...document.querySelectorAll("#plane canvas")].forEach((canvas) => setSize(canvas));
  (data.classes ?? []).forEach((name, label) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.setAttribute("aria-pressed", label === 0);
    button.onclick = () => chooseClass(label);
    element("classes").append(button);
  });
  element("classes").hidden = !data.classes;
  element("new-latents").onclick = takeNewLatents;
  for (const side of ["across", "down"]) {
    element(side).oninput = (event) => {
      plane[side] = Number(event.target.value);
      showPicture();
    };
  }
  element("plane").onpointerdown = (event) => {
    element("plane").setPointerCapture(event.pointerId);
    movePoint(event);
  };
  element("plane").onpointermove = (event) => event.buttons && movePoint(event);
}

// ---- The wall ----

let walls = 0;

async function drawWall() {
  const number = ++walls, canvas = element("wall");
  for (let at = 0; at < 100 && number === walls; at++) {
    const row = Math.floor(at / 10), label = data.classes ? row % data.classes.length : 0;
    const pixels = await generate(newLatents(), label);
    if (number === walls) paint(canvas, pixels, (at % 10) * width, row * height);
  }
}

// ---- The film ----

let timer = null;

function showEpoch() {
  const { epoch, picture } = data.film[Number(element("film-position").value)];
  element("film").src = picture;
  element("film").alt = words.filmLabel(epoch);
  element("film-epoch").textContent = words.epoch(epoch);
}

function setPlaying(isPlaying) {
  clearInterval(timer);
  element("play").setAttribute("aria-pressed", isPlaying);
  if (!isPlaying) return;
  const position = element("film-position");
  timer = setInterval(() => {
    position.value = (Number(position.value) + 1) % data.film.length;
    showEpoch();
  }, matchMedia("(prefers-reduced-motion: reduce)").matches ? 1500 : 300);
}

function setUpFilm() {
  if (!data.film.length) return;
  element("film-section").hidden = false;
  element("film-position").max = data.film.length - 1;
  element("film-position").value = data.film.length - 1;
  element("film-position").oninput = () => {
    setPlaying(false);
    showEpoch();
  };
  element("play").onclick = () => setPlaying(element("play").getAttribute("aria-pressed") !== "true");
}

// ---- The visitor's own hand ----

const readable = { willReadFrequently: true };
const SIDE = 28, INNER = 20, PEN = 20, STEP = 10;
const pen = { x: 140, y: 140, isDown: false };
const collection = [];
let readings = 0; // counts the calls of readDigit

// Averages the pixels under each new pixel: (rows, columns) floats to (newRows, newColumns).
function shrink(pixels, rows, columns, newRows, newColumns) {
  const result = new Float32Array(newRows * newColumns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const value = pixels[row * columns + column];
      if (!value) continue;
      const top = (row * newRows) / rows, bottom = ((row + 1) * newRows) / rows;
      const left = (column * newColumns) / columns, right = ((column + 1) * newColumns) / columns;
      for (let y = Math.floor(top); y < bottom && y < newRows; y++) {
        for (let x = Math.floor(left); x < right && x < newColumns; x++) {
          const part = (Math.min(bottom, y + 1) - Math.max(top, y)) * (Math.min(right, x + 1) - Math.max(left, x));
          if (part > 0) result[y * newColumns + x] += value * part;
        }
      }
    }
  }
  return result;
}

// As MNIST was made: the ink in a box of 20x20, and its center of mass in the center of 28x28.
function readPad() {
  const side = element("pad").width;
  const colors = element("pad").getContext("2d", readable).getImageData(0, 0, side, side).data;
  let [top, left, bottom, right] = [side, side, -1, -1];
  for (let at = 0; at < side * side; at++) {
    if (colors[4 * at] < 20) continue;
    const row = Math.floor(at / side), column = at % side;
    [top, left, bottom, right] = [Math.min(top, row), Math.min(left, column), Math.max(bottom, row), Math.max(right, column)];
  }
  if (bottom < 0) return null;
  const rows = bottom - top + 1, columns = right - left + 1, longest = Math.max(rows, columns);
  const ink = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      ink[row * columns + column] = colors[4 * ((row + top) * side + column + left)] / 255;
    }
  }
  const newRows = Math.max(1, Math.round((INNER * rows) / longest)), newColumns = Math.max(1, Math.round((INNER * columns) / longest));
  const small = shrink(ink, rows, columns, newRows, newColumns);
  let [mass, middleRow, middleColumn] = [0, 0, 0];
  small.forEach((value, at) => {
    mass += value;
    middleRow += value * Math.floor(at / newColumns);
    middleColumn += value * (at % newColumns);
  });
  const place = (middle, size) => Math.min(SIDE - size, Math.max(0, Math.round(SIDE / 2 - middle / mass)));
  const [down, across] = [place(middleRow, newRows), place(middleColumn, newColumns)];
  const digit = new Uint8Array(SIDE * SIDE);
  small.forEach((value, at) => {
    digit[(Math.floor(at / newColumns) + down) * SIDE + (at % newColumns) + across] = Math.round(255 * Math.min(1, value));
  });
  return digit;
}

async function readDigit() {
  const digit = readPad(), reading = ++readings;
  let chances = new Array(10).fill(0);
  if (digit) {
    const logits = await compute("classifier", Float32Array.from(digit, (pixel) => pixel / 127.5 - 1));
    if (reading !== readings) return; // the drawing has changed
    const powers = Array.from(logits, (logit) => Math.exp(logit - Math.max(...logits)));
    chances = powers.map((power) => power / powers.reduce((a, b) => a + b));
  }
  document.querySelectorAll("#chances meter").forEach((meter, number) => (meter.value = chances[number]));
  const best = chances.indexOf(Math.max(...chances));
  element("reading").textContent = digit ? words.reads(best, Math.round(100 * chances[best])) : words.nothing;
}

function drawLine(x, y) {
  const context = element("pad").getContext("2d", readable);
  Object.assign(context, { lineWidth: PEN, lineCap: "round", strokeStyle: "#fff" });
  context.beginPath();
  context.moveTo(pen.x, pen.y);
  context.lineTo(x, y);
  context.stroke();
  Object.assign(pen, { x, y });
}

function clearPad() {
  const context = element("pad").getContext("2d", readable);
  context.fillStyle = "#000";
  context.fillRect(0, 0, element("pad").width, element("pad").height);
  Object.assign(pen, { x: 140, y: 140, isDown: false });
  readDigit();
}

function penAt(event) {
  const box = element("pad").getBoundingClientRect(), scale = element("pad").width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}

function movePen(event) {
  const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
  if (event.key !== " " && !moves[event.key]) return;
  event.preventDefault();
  if (event.key === " ") pen.isDown = !pen.isDown;
  const [across, down] = moves[event.key] ?? [0, 0], side = element("pad").width;
  const x = Math.min(side, Math.max(0, pen.x + across)), y = Math.min(side, Math.max(0, pen.y + down));
  if (pen.isDown) {
    drawLine(x, y);
    readDigit();
  }
  Object.assign(pen, { x, y });
  showPen();
}

function showPen() {
  const mark = element("pen");
  mark.hidden = document.activeElement !== element("pad") || !element("pad").matches(":focus-visible");
  mark.style.left = `${(100 * pen.x) / 280}%`;
  mark.style.top = `${(100 * pen.y) / 280}%`;
  mark.classList.toggle("down", pen.isDown);
}

function showCollection() {
  const counts = Array.from({ length: 10 }, (_, digit) => collection.filter((one) => one.label === digit).length);
  const text = counts.map((count, digit) => (count ? `${digit}: ${count}` : "")).filter(Boolean).join(" · ");
  element("collected").textContent = words.collected(text || words.none);
  element("undo").disabled = element("download").disabled = !collection.length;
  const canvas = element("thumbnails");
  canvas.hidden = !collection.length;
  canvas.width = 20 * SIDE;
  canvas.height = Math.max(1, Math.ceil(collection.length / 20)) * SIDE;
  collection.forEach(({ digit }, number) => {
    const image = new ImageData(SIDE, SIDE);
    digit.forEach((pixel, at) => image.data.set([pixel, pixel, pixel, 255], 4 * at));
    canvas.getContext("2d").putImageData(image, (number % 20) * SIDE, Math.floor(number / 20) * SIDE);
  });
}

function keepDrawing(label) {
  const digit = readPad();
  if (!digit) {
    element("collected").textContent = words.nothing;
    return;
  }
  collection.push({ label, digit });
  showCollection();
  clearPad();
}

// An array file of NumPy: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
function encodeArray(shape, bytes) {
  const text = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const header = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + "\n";
  const start = [0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, header.length & 255, header.length >> 8];
  return Uint8Array.from([...start, ...new TextEncoder().encode(header), ...bytes]);
}

function checksum(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

// A ZIP archive without compression, as `numpy.savez` writes it.
function encodeZip(files) {
  const parts = [], directory = [];
  let position = 0;
  const numbers = (...pairs) => pairs.flatMap(([value, size]) => Array.from({ length: size }, (_, byte) => Math.floor(value / 256 ** byte) & 255));
  for (const [name, bytes] of files) {
    const nameBytes = new TextEncoder().encode(name);
    const facts = numbers([20, 2], [0, 2], [0, 2], [0, 2], [33, 2], [checksum(bytes), 4], [bytes.length, 4], [bytes.length, 4], [nameBytes.length, 2], [0, 2]);
    const local = Uint8Array.from([0x50, 0x4b, 3, 4, ...facts, ...nameBytes]);
    directory.push([0x50, 0x4b, 1, 2, 20, 0, ...facts, ...numbers([0, 2], [0, 2], [0, 2], [0, 4], [position, 4]), ...nameBytes]);
    parts.push(local, bytes);
    position += local.length + bytes.length;
  }
  const list = Uint8Array.from(directory.flat());
  const end = numbers([0, 2], [0, 2], [files.length, 2], [files.length, 2], [list.length, 4], [position, 4], [0, 2]);
  return new Blob([...parts, list, Uint8Array.from([0x50, 0x4b, 5, 6, ...end])], { type: "application/zip" });
}

function downloadCollection() {
  const pixels = collection.flatMap(({ digit }) => [...digit]), labels = collection.map(({ label }) => label);
  const archive = encodeZip([
    ["x_train.npy", encodeArray([collection.length, SIDE, SIDE], pixels)],
    ["y_train.npy", encodeArray([collection.length], labels)],
  ]);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(archive);
  link.download = "mine.npz";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function setUpHand() {
  if (!data.networks.classifier) return;
  element("hand-section").hidden = false;
  for (let digit = 0; digit < 10; digit++) {
    element("chances").tBodies[0].insertAdjacentHTML(
      "beforeend", `<tr><th scope="row">${digit}</th><td><meter min="0" max="1" value="0" aria-label="${digit}"></meter></td></tr>`);
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = digit;
    button.onclick = () => keepDrawing(digit);
    element("keep").append(button);
  }
  const pad = element("pad");
  pad.onpointerdown = (event) => {
    pad.setPointerCapture(event.pointerId);
    pen.isDrawing = true; // not a button that was pressed elsewhere
    [pen.x, pen.y] = penAt(event);
    drawLine(pen.x, pen.y);
  };
  pad.onpointermove = (event) => pen.isDrawing && drawLine(...penAt(event));
  pad.onpointerup = pad.onpointercancel = () => {
    pen.isDrawing = false;
    readDigit();
  };
  pad.onkeydown = movePen;
  pad.onfocus = pad.onblur = showPen;
  element("clear").onclick = clearPad;
  element("undo").onclick = () => {
    collection.pop();
    showCollection();
  };
  element("download").onclick = downloadCollection;
  clearPad();
}

// ---- Language ----

function setLanguage(language) {
  words = WORDS[language];
  document.documentElement.lang = language;
  document.querySelectorAll("[data-text]").forEach((one) => (one.textContent = words[one.dataset.text]));
  document.querySelectorAll("[data-label]").forEach((one) => one.setAttribute("aria-label", words[one.dataset.label]));
  document.querySelectorAll("[data-language]").forEach((one) => one.setAttribute("aria-pressed", one.dataset.language === language));
  document.querySelectorAll("#keep button").forEach((one, digit) => one.setAttribute("aria-label", words.keep(digit)));
  describePicture();
  if (data.film.length) showEpoch();
  if (data.networks.classifier) {
    showCollection();
    readDigit();
  }
}

document.querySelectorAll("[data-language]").forEach((one) => (one.onclick = () => setLanguage(one.dataset.language)));
setUpDrawing();
setUpFilm();
setUpHand();
setSize(element("wall"), 10, 10);
element("new-wall").onclick = drawWall;
setLanguage(navigator.language.startsWith("pt") ? "pt" : "en");
takeNewLatents().then(drawWall);
