"""Documents for tests, written by hand: only what a reader needs, and the obstacles of real files."""

import html
import io
import zipfile
import zlib

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
ODF = "urn:oasis:names:tc:opendocument:xmlns"


def zip_of(files: list[tuple[str, str | bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data, zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED)
    return out.getvalue()


def paragraph(text: str, style: str = "", properties: str = "", run: str = "") -> str:
    """A paragraph of Word."""
    chosen = f'<w:pStyle w:val="{style}"/>' if style else ""
    return (
        f"<w:p><w:pPr>{chosen}{properties}</w:pPr><w:r><w:rPr>{run}</w:rPr>"
        f'<w:t xml:space="preserve">{html.escape(text)}</w:t></w:r></w:p>'
    )


STYLES = """
<w:style w:type="paragraph" w:default="1" w:styleId="Standard"><w:name w:val="Normal"/></w:style>
<w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/><w:basedOn w:val="Standard"/></w:style>
<w:style w:type="paragraph" w:styleId="Kapitel"><w:name w:val="Kapitel"/><w:basedOn w:val="berschrift1"/></w:style>
<w:style w:type="paragraph" w:styleId="Titel"><w:name w:val="Title"/></w:style>
<w:style w:type="paragraph" w:styleId="Verzeichnis1"><w:name w:val="toc 1"/></w:style>
"""


def docx(body: str) -> bytes:
    return zip_of(
        [
            ("[Content_Types].xml", "<Types/>"),
            ("word/styles.xml", f'<w:styles xmlns:w="{W}">{STYLES}</w:styles>'),
            ("word/document.xml", f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'),
        ]
    )


def odt(body: str, styles: str = "") -> bytes:
    content = (
        f'<office:document-content xmlns:office="{ODF}:office:1.0" xmlns:text="{ODF}:text:1.0" '
        f'xmlns:style="{ODF}:style:1.0" xmlns:fo="{ODF}:xsl-fo-compatible:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:text>{body}</office:text></office:body></office:document-content>"
    )
    return zip_of([("mimetype", "application/vnd.oasis.opendocument.text"), ("content.xml", content)])


def page(body: str) -> str:
    return f'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{body}</body></html>'


def epub(pages: list[tuple[str, str]], chapters: list[tuple[str, str]] = ()) -> bytes:  # pyright: ignore[reportArgumentType]
    """An EPUB 2; `chapters` are labels and links of its contents."""
    items = "".join(
        f'<item id="i{n}" href="{name}" media-type="application/xhtml+xml"/>'
        for n, (name, _) in enumerate(pages)
    )
    refs = "".join(f'<itemref idref="i{n}"/>' for n in range(len(pages)))
    points = "".join(
        f'<navPoint id="n{n}"><navLabel><text>{label}</text></navLabel><content src="{link}"/></navPoint>'
        for n, (label, link) in enumerate(chapters)
    )
    return zip_of(
        [
            ("mimetype", "application/epub+zip"),
            (
                "META-INF/container.xml",
                '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
                '<rootfile full-path="OPS/book.opf"/></rootfiles></container>',
            ),
            (
                "OPS/book.opf",
                '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
                f'<dc:title>Tales</dc:title></metadata><manifest>{items}<item id="ncx" href="toc.ncx" '
                f'media-type="application/x-dtbncx+xml"/></manifest><spine toc="ncx">{refs}</spine></package>',
            ),
            (
                "OPS/toc.ncx",
                f'<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap>{points}</navMap></ncx>',
            ),
            *((f"OPS/{name}", body) for name, body in pages),
        ]
    )


def pdf(pages: list[list[tuple[float, float, float, str]]]) -> bytes:
    """A PDF of lines (x, y, size, text) in points from the lower left corner."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman /Encoding /WinAnsiEncoding >>",
    ]
    kids = []
    for lines in pages:
        shown = b"\n".join(
            b"/F1 %g Tf 1 0 0 1 %g %g Tm (%s) Tj"
            % (size, x, y, text.encode("cp1252").replace(b"(", b"\\(").replace(b")", b"\\)"))
            for x, y, size, text in lines
        )
        packed = zlib.compress(b"BT\n" + shown + b"\nET")
        objects.append(
            b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(packed), packed)
        )
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 420 595] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
            % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    out, places = b"%PDF-1.4\n", []
    for number, item in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, item)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return out + end % (len(objects) + 1, table, len(objects) + 1, len(out))
