// Computes a network from `gan/exports/nodes.py` on typed arrays, one image at a time.
// All images are (height, width, channels). A kernel is (height, width, input channels, output channels).
"use strict";

function bytesOf(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
}

function floatsOf16(text) {
  const halves = new Uint16Array(bytesOf(text));
  return Float32Array.from(halves, (half) => {
    const sign = half & 0x8000 ? -1 : 1, exponent = (half >> 10) & 31, fraction = half & 1023;
    return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -24 * fraction;
  });
}

// The padding "same" of TensorFlow: rows that are missing before the first row.
function padBefore(padding, outputs, inputs, size, stride) {
  return padding === "same" ? Math.max((outputs - 1) * stride + size - inputs, 0) >> 1 : 0;
}

// Adds the product of `rows` values of a vector and as many rows of a matrix to a part of `output`.
// Four rows at a time read and write each output a fourth as often: this is twice as fast.
function addProduct(output, to, vector, from, rows, matrix, firstRow, columns) {
  let row = 0, at = firstRow * columns;
  for (; row + 4 <= rows; row += 4, at += 4 * columns) {
    const a = vector[from + row], b = vector[from + row + 1], c = vector[from + row + 2], d = vector[from + row + 3];
    const second = at + columns, third = second + columns, fourth = third + columns;
    for (let column = 0; column < columns; column++) {
      output[to + column] += a * matrix[at + column] + b * matrix[second + column]
        + c * matrix[third + column] + d * matrix[fourth + column];
    }
  }
  for (; row < rows; row++, at += columns) {
    for (let column = 0; column < columns; column++) output[to + column] += vector[from + row] * matrix[at + column];
  }
}

function fillWith(output, bias) {
  if (bias) for (let at = 0; at < output.length; at += bias.length) output.set(bias, at);
}

const kernels = {
  dense(node, [x], output) {
    fillWith(output, node.bias);
    addProduct(output, 0, x, 0, x.length, node.kernel, 0, output.length);
  },
  embedding(node, [label], output) {
    output.set(node.table.subarray(label[0] * output.length, (label[0] + 1) * output.length));
  },
  norm(node, [x], output) {
    const { scale, offset } = node, channels = scale.length;
    for (let at = 0; at < x.length; at++) output[at] = x[at] * scale[at % channels] + offset[at % channels];
  },
  convolution(node, [x], output, [inShape]) {
    fillWith(output, node.bias);
    const [inputs, outputs] = [inShape[2], node.shape[2]];
    slide(node, inShape, node.shape, (from, to, tap) => {
      addProduct(output, to * outputs, x, from * inputs, inputs, node.kernel, tap * inputs, outputs);
    });
  },
  // The transposed convolution exchanges the roles of input and output.
  transposed_convolution(node, [x], output, [inShape]) {
    fillWith(output, node.bias);
    const [inputs, outputs] = [inShape[2], node.shape[2]];
    slide(node, node.shape, inShape, (to, from, tap) => {
      addProduct(output, to * outputs, x, from * inputs, inputs, node.kernel, tap * inputs, outputs);
    });
  },
  reshape: (node, [x], output) => output.set(x),
  leaky_relu(node, [x], output) {
    for (let at = 0; at < x.length; at++) output[at] = x[at] < 0 ? node.slope * x[at] : x[at];
  },
  relu(node, [x], output) {
    for (let at = 0; at < x.length; at++) output[at] = Math.max(0, x[at]);
  },
  tanh(node, [x], output) {
    for (let at = 0; at < x.length; at++) output[at] = Math.tanh(x[at]);
  },
  sigmoid(node, [x], output) {
    for (let at = 0; at < x.length; at++) output[at] = 1 / (1 + Math.exp(-x[at]));
  },
  add: (node, values, output) => combine(values, output, (a, b) => a + b),
  multiply: (node, values, output) => combine(values, output, (a, b) => a * b),
  concatenate(node, values, output, shapes) {
    const total = node.shape[node.shape.length - 1];
    let before = 0;
    values.forEach((x, number) => {
      const channels = shapes[number][shapes[number].length - 1];
      for (let row = 0; row * channels < x.length; row++) {
        output.set(x.subarray(row * channels, (row + 1) * channels), row * total + before);
      }
      before += channels;
    });
  },
  crop(node, [x], output, [[, width, channels]]) {
    const [top, left] = node.top_left, [rows, columns] = node.shape;
    for (let row = 0; row < rows; row++) {
      const start = ((row + top) * width + left) * channels;
      output.set(x.subarray(start, start + columns * channels), row * columns * channels);
    }
  },
};

// Calls visit(pixel of the large image, pixel of the small image, tap of the kernel) for all pairs.
function slide(node, [largeHeight, largeWidth], [smallHeight, smallWidth], visit) {
  const [height, width] = node.size, [down, across] = node.strides;
  const top = padBefore(node.padding, smallHeight, largeHeight, height, down);
  const left = padBefore(node.padding, smallWidth, largeWidth, width, across);
  for (let row = 0; row < smallHeight; row++) {
    for (let column = 0; column < smallWidth; column++) {
      for (let tap = 0; tap < height * width; tap++) {
        const y = row * down - top + Math.floor(tap / width), x = column * across - left + (tap % width);
        if (y >= 0 && y < largeHeight && x >= 0 && x < largeWidth) {
          visit(y * largeWidth + x, row * smallWidth + column, tap);
        }
      }
    }
  }
}

// Values of one class (1, 1, channels) combine with every pixel.
function combine(values, output, operation) {
  output.set(values.reduce((a, b) => (a.length > b.length ? a : b)));
  const largest = values.findIndex((x) => x.length === output.length);
  values.forEach((x, number) => {
    if (number !== largest) for (let at = 0; at < output.length; at++) output[at] = operation(output[at], x[at % x.length]);
  });
}

class Network {
  constructor({ nodes, output }) {
    this.output = output;
    this.nodes = nodes.map((node) => {
      const decoded = { ...node, buffer: new Float32Array(node.shape.reduce((a, b) => a * b, 1)) };
      for (const key of Object.keys(node)) {
        if (key.endsWith("16")) decoded[key.slice(0, -2)] = floatsOf16(node[key]);
        if (key.endsWith("32")) decoded[key.slice(0, -2)] = new Float32Array(bytesOf(node[key]));
      }
      return decoded;
    });
  }

  // Computes the output for one image. The inputs are typed arrays or arrays, a label is [3].
  run(...inputs) {
    const values = [];
    this.nodes.forEach((node, number) => {
      if (node.op === "input") {
        values.push(Float32Array.from(inputs[number]));
        return;
      }
      node.buffer.fill(0);
      const shapes = node.inputs.map((input) => this.nodes[input].shape);
      kernels[node.op](node, node.inputs.map((input) => values[input]), node.buffer, shapes);
      values.push(node.buffer);
    });
    return values[this.output].slice();
  }
}
