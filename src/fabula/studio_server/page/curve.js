// The learning curve, as a drawing.

import { drawn, element } from "./element.js";

const WIDTH = 640, HEIGHT = 230, LEFT = 46, RIGHT = 12, TOP = 12, BOTTOM = 34;

// steps: [step, train_loss, tokens_per_second]; validations: [step, val_loss, bits_per_byte].
export function curve(steps, validations) {
  const points = [...steps.map(([step, loss]) => [step, loss]), ...validations.map(([step, loss]) => [step, loss])];
  const last = Math.max(1, ...points.map(([step]) => step));
  const losses = points.map(([, loss]) => loss);
  let low = Math.min(...losses), high = Math.max(...losses);
  const margin = Math.max(0.02, (high - low) * 0.08);
  low -= margin;
  high += margin;
  const x = (step) => LEFT + (WIDTH - LEFT - RIGHT) * step / last;
  const y = (loss) => TOP + (HEIGHT - TOP - BOTTOM) * (high - loss) / (high - low);
  const line = (rows, className) => drawn("polyline", { class: className, points: rows.map(([step, loss]) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(" ") });
  const picture = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", role: "img", "aria-label": inWords(validations) });
  for (const loss of ticks(low, high, 4))
    picture.append(drawn("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(loss), y2: y(loss) }), text(LEFT - 7, y(loss) + 4, loss.toFixed(2), "end"));
  for (const step of ticks(0, last, 5)) picture.append(text(x(step), HEIGHT - 14, Math.round(step).toLocaleString("en"), "middle"));
  picture.append(line(steps, "train"), line(validations, "validation"));
  for (const [step, loss] of validations) picture.append(drawn("circle", { class: "validation", cx: x(step), cy: y(loss), r: 3.5 }));
  return element("figure", {}, picture, element("figcaption", { className: "quiet" },
    element("span", { className: "key validation" }), " validation loss, in nats per token  ", element("span", { className: "key train" }), " training loss  · over optimiser steps"));
}

function inWords(validations) {
  if (!validations.length) return "Learning curve; no validation yet.";
  const first = validations[0], now = validations.at(-1);
  return `Learning curve: the validation loss was ${first[1].toFixed(3)} at step ${first[0]} and is ${now[1].toFixed(3)} at step ${now[0]}.`;
}

function text(x, y, content, anchor) {
  const made = drawn("text", { x, y, "text-anchor": anchor });
  made.textContent = content;
  return made;
}

// About `count` round numbers between two others.
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((each) => each >= rough) ?? size;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + 1e-9; value += step) found.push(value);
  return found;
}
