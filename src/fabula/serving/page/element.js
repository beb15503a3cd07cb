// Builds elements.

const SVG = "http://www.w3.org/2000/svg";

// An element with properties and children; children that are null or false are left out.
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.flat().filter((child) => child !== null && child !== false && child !== undefined));
  return made;
}

// An element of a drawing, with attributes.
export function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
