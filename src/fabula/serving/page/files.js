// A story as a file: text, Markdown, Word, EPUB.

import { element } from "./element.js";

export function download(name, content, type) {
  const link = element("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const paragraphs = (text) => text.trim().split(/\n+/).map((line) => line.trim()).filter(Boolean);
const xml = (text) => text.replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, "").replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
const XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';

// Markdown joins lines, so each line of the story becomes a paragraph; Markdown's own characters are escaped.
export function markdown(text) {
  return paragraphs(text).map((line) => line.replace(/[\\`*_[\]]/g, "\\$&").replace(/&(?=#?\w+;)/g, "&amp;").replace(/<(?=[a-z/!?])/gi, "&lt;").replace(/^(\d*)([#>]|[-+.)](?=\s)|={2,}|-{2,})/, "$1\\$2")).join("\n\n") + "\n";
}

// A Word document (Office Open XML): the title, and a paragraph for each line.
export function docx(title, text) {
  const word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
  const office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
  const types = "application/vnd.openxmlformats-officedocument.wordprocessingml";
  const paragraph = (line, style) => `<w:p>${style ? `<w:pPr><w:pStyle w:val="${style}"/></w:pPr>` : ""}<w:r><w:t xml:space="preserve">${xml(line)}</w:t></w:r></w:p>`;
  const style = (id, name, size, bold) => `<w:style w:type="paragraph" w:styleId="${id}"${id === "Normal" ? ' w:default="1"' : ""}><w:name w:val="${name}"/><w:pPr><w:spacing w:after="160" w:line="300" w:lineRule="auto"/></w:pPr><w:rPr>${bold ? "<w:b/>" : ""}<w:sz w:val="${size}"/></w:rPr></w:style>`;
  return zip([
    ["[Content_Types].xml", `${XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="${types}.document.main+xml"/><Override PartName="/word/styles.xml" ContentType="${types}.styles+xml"/></Types>`],
    ["_rels/.rels", `${XML}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="${office}/officeDocument" Target="word/document.xml"/></Relationships>`],
    ["word/_rels/document.xml.rels", `${XML}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="${office}/styles" Target="styles.xml"/></Relationships>`],
    ["word/styles.xml", `${XML}<w:styles xmlns:w="${word}">${style("Normal", "Normal", 24, false)}${style("Title", "Title", 40, true)}</w:styles>`],
    ["word/document.xml", `${XML}<w:document xmlns:w="${word}"><w:body>${paragraph(title, "Title")}${paragraphs(text).map((line) => paragraph(line)).join("")}</w:body></w:document>`],
  ]);
}

// An e-book (EPUB 3) with one chapter.
export function epub(title, text) {
  const name = xml(title);
  const page = (body) => `<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><head><title>${name}</title></head><body>${body}</body></html>`;
  const id = crypto.getRandomValues(new Uint32Array(4)).join("-");
  return zip([
    ["mimetype", "application/epub+zip"],
    ["META-INF/container.xml", `${XML}<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>`],
    ["book.opf", `${XML}<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">${id}</dc:identifier><dc:title>${name}</dc:title><dc:language>${(navigator.language || "en").split("-")[0]}</dc:language><meta property="dcterms:modified">${new Date().toISOString().slice(0, 19)}Z</meta></metadata><manifest><item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/><item id="story" href="story.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="story"/></spine></package>`],
    ["nav.xhtml", page(`<nav epub:type="toc"><ol><li><a href="story.xhtml">${name}</a></li></ol></nav>`)],
    ["story.xhtml", page(`<h1>${name}</h1>${paragraphs(text).map((line) => `<p>${xml(line)}</p>`).join("")}`)],
  ]);
}

// A zip archive of small texts, stored without compression: [[name, text], ...].
function zip(entries) {
  const encoder = new TextEncoder();
  const parts = [], directory = [];
  let offset = 0;
  for (const [name, content] of entries) {
    const path = encoder.encode(name), data = encoder.encode(content);
    const common = [u16(20), u16(0x800), u16(0), u16(0), u16(0x21), u32(crc32(data)), u32(data.length), u32(data.length), u16(path.length), u16(0)];
    parts.push(u32(0x04034b50), ...common, path, data);
    directory.push(u32(0x02014b50), u16(20), ...common, u16(0), u16(0), u16(0), u32(0), u32(offset), path);
    offset += 30 + path.length + data.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const count = u16(entries.length);
  return new Blob([...parts, ...directory, u32(0x06054b50), u16(0), u16(0), count, count, u32(size), u32(offset), u16(0)]);
}

const u16 = (value) => new Uint8Array([value & 255, value >> 8 & 255]);
const u32 = (value) => new Uint8Array([value & 255, value >> 8 & 255, value >> 16 & 255, value >>> 24]);

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});

function crc32(data) {
  let sum = 0xffffffff;
  for (const byte of data) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}
