"""The studio as a web application, with access only to the projects in one folder."""

import asyncio
import hmac
import logging
import shutil
import tempfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import Field
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fabula.config import Record
from fabula.corpus.options import ReadingOptions
from fabula.corpus.store import LEDGER, REVIEW, write_jsonl
from fabula.defaults import BASE
from fabula.errors import FabulaError
from fabula.evaluation.votes import describe_guesses
from fabula.files import MANIFEST
from fabula.models.bases import BASE_BY_NAME, TINY, list_bases
from fabula.models.find import find_model, is_at_hand
from fabula.pipeline.events import read_events
from fabula.pipeline.run import DECISIONS, sample_stories
from fabula.publishing.publish import CARD
from fabula.publishing.upload import find_account
from fabula.report.render import REPORT, render
from fabula.results import METRICS, SAMPLES, VOTES, Evaluation, read_samples, read_votes
from fabula.serving.app import ERRORS, PAGE, OwnHeaders, Place, answer_error, page_file
from fabula.serving.guard import BodyInTime, OwnSite
from fabula.serving.requests import Refusal, check_origin, read_body
from fabula.studio_server.desk import Desk
from fabula.studio_server.jobs import Jobs, Wanted
from fabula.studio_server.projects import Choices, Project, Projects, describe, take_chunk
from fabula.studio_server.reading import Decision, decide, list_removals, load_decisions, summarise
from fabula.studio_server.work import Stopped, Worker
from fabula.training.job import CHECKPOINTS, FINISH

CHUNK_BYTES = 1 << 20
"""Maximum bytes of a file in one request."""

TICK_SECONDS = 0.5
KEY_COOKIE = "fabula-studio"

PAGES = {
    "index.html": ("studio_server", "text/html"),
    "studio.css": ("studio_server", "text/css"),
    "studio.js": ("studio_server", "text/javascript"),
    "project.js": ("studio_server", "text/javascript"),
    "steps.js": ("studio_server", "text/javascript"),
    "calls.js": ("studio_server", "text/javascript"),
    "curve.js": ("studio_server", "text/javascript"),
    "style.css": ("serving", "text/css"),
    "element.js": ("serving", "text/javascript"),
    "theme.js": ("serving", "text/javascript"),
    "icon.svg": ("serving", "image/svg+xml"),
}
"""The page's files, with the package and media type of each."""

VIEWS = {"report.html": REPORT, "review.html": f"corpus/{REVIEW}"}
"""Pages of a run that are shown unchanged, in a sandbox."""

DOWNLOADS = {"ledger.jsonl": f"corpus/{LEDGER}", "samples.jsonl": SAMPLES, "metrics.json": METRICS, **VIEWS}
FOLDERS = {"model.zip": "model", "gguf.zip": "gguf", "onnx.zip": "onnx", "publish.zip": "publish"}

EXPORTS = ("gguf", "onnx")
PUBLISH = ("--progress", "plain", "publish")

SANDBOX = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline';"
    " style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'"
)
"""A report contains text from untrusted files. It may run its own script, in a separate origin without any access."""


REPOSITORY = r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$"


class NewProject(Record):
    name: str = Field(default="", max_length=200)
    is_sample: bool = False
    """Whether it begins with the bundled stories."""


class StartRequest(Record):
    base: str = Field(default=TINY, max_length=300, pattern="^[^-]")
    max_minutes: float | None = Field(default=None, gt=0, le=100_000)


class LearnRequest(Record):
    name: str = Field(default="", max_length=200)
    text: str = Field(min_length=1)


class ExportRequest(Record):
    to: str
    quantize: str | None = Field(default=None, pattern="^[a-z0-9_]{1,20}$")


class PublishRequest(Record):
    license: str = Field(max_length=100, pattern=r"^[A-Za-z0-9][\w.+-]*$")
    corpus_license: str = Field(max_length=100, pattern=r"^[A-Za-z0-9][\w.+-]*$")
    anyway: bool = False

    @property
    def words(self) -> list[str]:
        licences = ["--license", self.license, "--corpus-license", self.corpus_license]
        return [*licences, *(["--anyway"] if self.anyway else [])]


class AccountRequest(Record):
    token: str = Field(default="", max_length=200, pattern="^[A-Za-z0-9_-]*$", repr=False)
    """Of the hub; "" for the one that is saved on this machine."""


class UploadRequest(PublishRequest, AccountRequest):
    account: str = Field(min_length=1, max_length=100)
    """The account that the person confirmed. It must be the token's."""
    repo: str = Field(max_length=200, pattern=REPOSITORY)
    space: str = Field(default="", max_length=200, pattern=f"^$|{REPOSITORY}")
    private: bool = False


def make_studio(
    root: Path, *, place: Place | None = None, max_upload_mb: int = 2_000, key: str | None = None
) -> Starlette:
    """The application.

    Args:
        root: the folder of the projects. No file outside it is read or written, apart from base models.
        place: None for loopback.
        max_upload_mb: size of all files that a project takes.
        key: the key that a visitor must give once in the address (`?key=...`); None for no key.
    """
    place = place or Place()
    studio = Studio(Projects(root), place, max_upload_mb * 1_000_000)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        ticking = asyncio.create_task(studio.keep_ticking())
        yield
        ticking.cancel()
        await run_in_threadpool(studio.desk.close)

    def post(path: str, endpoint: Any) -> Route:
        return Route(path, endpoint, methods=["POST"])

    one = "/api/projects/{name}"
    return Starlette(
        routes=[
            Route("/", studio.page),
            Route("/api/bases", studio.bases),
            Route("/api/projects", studio.list_projects),
            post("/api/projects", studio.create),
            Route(one, studio.show),
            post(one + "/files", studio.upload),
            post(one + "/read", studio.read),
            Route(one + "/removals", studio.removals),
            post(one + "/decisions", studio.decide),
            post(one + "/predict", studio.predict),
            post(one + "/start", studio.start),
            post(one + "/stop", studio.stop),
            post(one + "/finish", studio.finish),
            post(one + "/learn", studio.learn),
            post(one + "/remove", studio.remove),
            post(one + "/put-back", studio.put_back),
            post(one + "/export", studio.export),
            post(one + "/publish", studio.publish),
            post(one + "/account", studio.account),
            post(one + "/upload", studio.upload_model),
            Route(one + "/events", studio.events),
            Route("/files/{name}/{what}", studio.file),
            Mount("/desk/{project}", studio.write),
            Route("/{file}", studio.page),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[*place.hosts], www_redirect=False),
            Middleware(OwnHeaders, framed_by=place.framed_by),
            Middleware(OwnSite),
            *([Middleware(NeedsKey, key=key)] if key else []),
            Middleware(BodyInTime),
        ],
        exception_handlers={**dict.fromkeys(ERRORS, answer_error), Stopped: answer_stopped},
        lifespan=lifespan,
        max_body_size=CHUNK_BYTES + 100_000,
    )


class Studio:
    """The handlers of the routes."""

    def __init__(self, projects: Projects, place: Place, max_upload_bytes: int) -> None:
        self.projects, self.max_upload_bytes = projects, max_upload_bytes
        self.jobs, self.desk = Jobs(projects), Desk(place)
        self._reader, self._predictor = Worker(), Worker()

    async def keep_ticking(self) -> None:
        """Start waiting commands, and detect finished ones."""
        while True:
            try:
                await run_in_threadpool(self.jobs.tick)
            except OSError:  # a disk that is full now may not be full later
                pass
            except Exception:  # one faulty command must not block the others for ever
                logging.getLogger(__name__).exception("the queue of the studio")
            await asyncio.sleep(TICK_SECONDS)

    def _project(self, request: Request) -> Project:
        return self._find(request.path_params["name"])

    def _find(self, name: str) -> Project:
        try:
            return self.projects.find(name)
        except FabulaError as error:
            raise HTTPException(404, error.what) from None

    # What is shown

    async def page(self, request: Request) -> Response:
        name = request.path_params.get("file", "index.html")
        if name not in PAGES:
            raise HTTPException(404, "There is no such page.")
        package, media_type = PAGES[name]
        return page_file(package, name, media_type)

    async def list_projects(self, _: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._list_projects))

    def _list_projects(self) -> list[dict[str, Any]]:
        return [self._describe(project) for project in self.projects.all()]

    def _describe(self, project: Project) -> dict[str, Any]:
        problem = self.jobs.problems.get(project.name, "")
        return describe(
            project,
            is_queued=self.jobs.is_queued(project),
            is_starting=self.jobs.is_working(project, "run"),
            problem=problem,
        )

    async def show(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._show, self._project(request)))

    def _show(self, project: Project) -> dict[str, Any]:
        log = project.training_log()
        metrics, arguments, choices, problem = None, None, Choices(), ""
        try:  # what another version of fabula made can be looked at and written with
            choices = project.choices()
            arguments = project.arguments() if project.has_run else None
            metrics = Evaluation.load_optional(project.folder / METRICS)
        except FabulaError as error:
            what = Path(str(error.where)).name if error.where else "this project"
            problem = (
                f"Another version of fabula made this project ({what}: {error.what}). You can still write with its model; to train or"
                " evaluate again, make a new project from its stories."
            )
        work = {
            kind: {
                "is_waiting": self.jobs.is_queued(project, kind),
                "is_working": self.jobs.is_working(project, kind),
                "output": self.jobs.output(project.name, kind),
            }
            for kind in ("export", "publish", "upload")
        }
        described = self._describe(project)
        return {
            **described,
            "error": described["error"] or problem,
            "files": [path.relative_to(project.inputs).as_posix() for path in project.files()][:200],
            "num_files": len(project.files()),
            "reading": choices.reading.model_dump(),
            "base": arguments.base if arguments else choices.base,
            "max_minutes": arguments.max_minutes if arguments else choices.max_minutes,
            "summary": summarise(project),
            "num_decisions": len(load_decisions(project)) if (project.folder / DECISIONS).exists() else 0,
            "steps": [[row.step, row.train_loss, row.tokens_per_second] for row in log.steps],
            "validations": [[row.step, row.val_loss, row.bits_per_byte] for row in log.validations],
            "verdict": metrics.verdict.sentences if metrics else [],
            "guesses": describe_guesses(read_votes(project.folder / VOTES, metrics.fingerprint))
            if metrics
            else None,
            "samples": first_samples(project, metrics),
            "has_report": (project.folder / REPORT).is_file(),
            "has_dry_run": (project.folder / "publish" / "model" / CARD).is_file(),
            "exports": [name for name in EXPORTS if (project.folder / name / "export.json").is_file()],
            "work": work,
        }

    async def bases(self, _: Request) -> Response:
        import psutil

        memory = psutil.virtual_memory()
        rows = [
            {
                **asdict(base),
                "wheel": None,
                "training_gb": base.training_gb,
                "writing_gb": base.writing_gb,
                "is_at_hand": await run_in_threadpool(is_at_hand, base.name),
            }
            for base in list_bases()
        ]
        return JSONResponse(
            {
                "bases": rows,
                "free_gb": memory.available / 1e9,
                "total_gb": memory.total / 1e9,
                "default": TINY,
            }
        )

    async def events(self, request: Request) -> Response:
        offset = request.query_params.get("from", "0")
        if not offset.isdecimal() or len(offset) > 12:
            raise Refusal("The offset must be a number.", 422)
        events, end = await run_in_threadpool(read_events, self._project(request).folder, int(offset))
        rows = [event.model_dump(mode="json", exclude={"pid", "started"}) for event in events]
        return JSONResponse({"events": rows, "next": end})

    # What goes in

    async def create(self, request: Request) -> Response:
        wanted = NewProject.parse(await read_body(request), where="request")
        base = await run_in_threadpool(usual_base)
        project = self.projects.create("sample stories" if wanted.is_sample else wanted.name, base)
        if wanted.is_sample:
            shutil.copyfile(sample_stories(), project.inputs / "sample_stories.txt")
        return JSONResponse({"name": project.name})

    async def upload(self, request: Request) -> Response:
        """A chunk of a file, as bytes; the address says of which, from where on, and how large the file is."""
        check_origin(request)
        if request.headers.get("content-type", "") != "application/octet-stream":
            raise Refusal("The request must be of type application/octet-stream.", 415)
        project, query = self._project(request), request.query_params
        if project.has_run:
            raise Refusal("The run of this project has begun. Make a new project for other stories.", 409)
        numbers = [query.get(name, "") for name in ("offset", "total")]
        if not all(number.isdecimal() and len(number) <= 15 for number in numbers):
            raise Refusal("The request must say which part of the file it contains.", 422)
        data = await request.body()
        if len(data) > CHUNK_BYTES:
            raise Refusal("This is too much at once.", 413)
        offset, total = map(int, numbers)
        chunk = (project, query.get("path", ""), data, offset, total, self.max_upload_bytes)
        return JSONResponse({"is_complete": await run_in_threadpool(take_chunk, *chunk)})

    async def read(self, request: Request) -> Response:
        """Read and clean the project's files."""
        project = self._project(request)
        body = await read_body(request)
        given = {name: value for name, value in body.items() if value not in ("", None)}
        reading = ReadingOptions.parse(given, where="request")
        if project.has_run:
            raise Refusal("The run of this project has begun.", 409)
        return JSONResponse(await self._reader.ask("read", project.folder, reading.model_dump_json()))

    async def removals(self, request: Request) -> Response:
        offset = request.query_params.get("offset", "0")
        if not offset.isdecimal() or len(offset) > 9:
            raise Refusal("The offset must be a number.", 422)
        return JSONResponse(await run_in_threadpool(list_removals, self._project(request), int(offset)))

    async def decide(self, request: Request) -> Response:
        project = self._project(request)
        wanted = Decision.parse(await read_body(request), where="request")
        if project.has_run:
            raise Refusal("The run of this project has begun; its stories stay as they are.", 409)
        return JSONResponse({"num_decisions": decide(project, wanted)})

    # The run

    async def predict(self, request: Request) -> Response:
        project = self._project(request)
        wanted = StartRequest.parse(await read_body(request), where="request")
        stories = project.corpus if (project.corpus / MANIFEST).is_file() else project.source()
        return JSONResponse(await self._predictor.ask("predict", stories, wanted.base, project.folder))

    async def start(self, request: Request) -> Response:
        """Start the run of a project, or continue it."""
        project = self._project(request)
        wanted = StartRequest.parse(await read_body(request), where="request")
        if project.phase()[0] == "working" or self.jobs.is_working(project, "run"):
            raise Refusal("This project is already running.", 409)
        if not project.has_run:
            choices: Choices = project.choices()
            project.choose(choices.model_copy(update=wanted.model_dump()))
        await run_in_threadpool(self.jobs.run, project)
        return JSONResponse(await run_in_threadpool(self._describe, project))

    async def stop(self, request: Request) -> Response:
        project = self._project(request)
        await read_body(request)
        return JSONResponse({"stopped": await run_in_threadpool(self.jobs.cancel, project)})

    async def finish(self, request: Request) -> Response:
        """Ask the training to end now and to keep its best weights."""
        project = self._project(request)
        await read_body(request)
        work = project.model.with_name(project.model.name + CHECKPOINTS)
        if work.is_dir():
            (work / FINISH).touch()
        return JSONResponse({"asked": work.is_dir()})

    async def learn(self, request: Request) -> Response:
        """A new project that trains the model of this one further, on its stories and on one that was written with it."""
        project = self._project(request)
        wanted = LearnRequest.parse(await read_body(request), where="request")
        made = await run_in_threadpool(self.projects.improve, project, wanted.name, wanted.text)
        return JSONResponse({"name": made.name})

    async def remove(self, request: Request) -> Response:
        """Move a project out of the way; it can be put back."""
        project = self._project(request)
        await read_body(request)
        if project.phase()[0] in ("working", "reading") or self.jobs.is_busy(project):
            raise Refusal("This project is busy. Pause it first, or wait.", 409)
        await run_in_threadpool(self.desk.release, project)
        await run_in_threadpool(self.projects.remove, project, self.jobs.removed)
        return JSONResponse({})

    async def put_back(self, request: Request) -> Response:
        await read_body(request)
        name = request.path_params["name"]
        return JSONResponse(
            {"name": (await run_in_threadpool(self.projects.put_back, name, self.jobs.removed)).name}
        )

    # What comes out

    async def export(self, request: Request) -> Response:
        project = self._project(request)
        wanted = ExportRequest.parse(await read_body(request), where="request")
        if wanted.to not in EXPORTS:
            raise Refusal(f"There is no format {wanted.to!r}.", 422)
        words = ["--progress", "plain", "export", str(project.model), "--to", wanted.to]
        words += [
            "--out",
            str(project.folder / wanted.to),
            *(["--quantize", wanted.quantize] if wanted.quantize else []),
        ]
        self.jobs.submit(Wanted(project=project.name, kind="export", words=words))
        return JSONResponse({})

    async def publish(self, request: Request) -> Response:
        """Write everything that publishing would upload, and check it. Nothing is uploaded."""
        project = self._project(request)
        wanted = PublishRequest.parse(await read_body(request), where="request")
        words = [*PUBLISH, str(project.folder), "--dry-run", str(project.folder / "publish"), *wanted.words]
        self.jobs.submit(Wanted(project=project.name, kind="publish", words=words))
        return JSONResponse({})

    async def account(self, request: Request) -> Response:
        """Whom a token of the hub belongs to, for the person to confirm. The token is not kept."""
        self._project(request)
        wanted = AccountRequest.parse(await read_body(request), where="request")
        return JSONResponse(asdict(await run_in_threadpool(find_account, wanted.token or None)))

    async def upload_model(self, request: Request) -> Response:
        """Publish on the hub, with the account and the repositories that the person has confirmed."""
        project = self._project(request)
        wanted = UploadRequest.parse(await read_body(request), where="request")
        account = await run_in_threadpool(find_account, wanted.token or None)
        if account.name != wanted.account:
            raise Refusal(f"This token belongs to {account.name}, not to {wanted.account}.", 409)
        for repo in filter(None, (wanted.repo, wanted.space)):
            if not account.may_own(repo):
                raise Refusal(f"{account.name} cannot write to {repo}: name it {account.name}/…", 422)
        words = [*PUBLISH, str(project.folder), "--repo", wanted.repo, *wanted.words]
        words += [
            *(["--space", wanted.space] if wanted.space else []),
            *(["--private"] if wanted.private else []),
        ]
        job = Wanted(project=project.name, kind="upload", words=words, has_token=bool(wanted.token))
        self.jobs.submit(job, wanted.token)
        return JSONResponse({})

    async def file(self, request: Request) -> Response:
        """A file or a folder of the project, by a name of the tables above."""
        project, what = self._project(request), request.path_params["what"]
        if what in FOLDERS:
            return await self._folder(project, what)
        if what == "stories.jsonl":
            with tempfile.NamedTemporaryFile(suffix=".jsonl", delete=False) as file:
                path = Path(file.name)
            await run_in_threadpool(write_jsonl, project.corpus, path)
            return sent(path, f"{project.name}-{what}", is_temporary=True)
        path = project.folder / DOWNLOADS.get(what, ".")
        if what not in DOWNLOADS or not is_inside(path, project.folder) or not path.is_file():
            raise HTTPException(404, "There is no such file.")
        if what in VIEWS and "download" not in request.query_params:
            if what == "report.html" and project.phase()[0] == "done":
                with suppress(
                    FabulaError, OSError
                ):  # another version's run or a full disk: it stays as it was
                    await run_in_threadpool(render, project.folder)  # with the guesses since it was made
            headers = {"content-security-policy": SANDBOX, "cache-control": "no-cache"}
            return FileResponse(path, media_type="text/html", headers=headers)
        return sent(path, f"{project.name}-{what}")

    async def _folder(self, project: Project, what: str) -> Response:
        folder = project.folder / FOLDERS[what]
        if not folder.is_dir() or not is_inside(folder, project.folder):
            raise HTTPException(404, "There is no such file.")
        with tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as file:
            path = Path(file.name)
        await run_in_threadpool(write_zip, folder, path, f"{project.name}-{folder.name}")
        return sent(path, f"{project.name}-{what}", is_temporary=True)

    async def write(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The writing page."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        project = self._find(request.path_params["project"])
        if scope["path"] == scope["root_path"]:
            await RedirectResponse(f"{scope['root_path']}/")(scope, receive, send)
            return
        name = scope["path"].removeprefix(f"{scope['root_path']}/") or "index.html"
        if name in PAGE:  # does not wait until the model is loaded
            if name == "index.html":
                find_model(project.folder)
            app = page_file("serving", name, PAGE[name])
        else:
            app = await run_in_threadpool(self.desk.open, project)
        await app(scope, receive, send)


def first_samples(project: Project, metrics: Evaluation | None) -> list[dict[str, str]]:
    """Stories that the model wrote for its evaluation."""
    if metrics is None:
        return []
    written = [one for one in read_samples(project.folder / SAMPLES) if one.model == metrics.models[-1].name]
    return [
        {"prompt": one.prompt, "text": one.text + ("" if one.finish_reason == "end" else " …")}
        for one in written[:3]
    ]


def usual_base() -> str:
    """The base model that is chosen at first: the default one, if it is on this machine and memory suffices; nothing is
    downloaded unasked."""
    import psutil

    free_gb = psutil.virtual_memory().available / 1e9
    return BASE if BASE_BY_NAME[BASE].training_gb < free_gb and is_at_hand(BASE) else TINY


def answer_stopped(_: Request, error: Exception) -> Response:
    return JSONResponse({"message": "That was stopped before it finished."}, 409)


def is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def write_zip(folder: Path, path: Path, name: str) -> None:
    """A zip archive of a folder. Links are left out."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.is_symlink():
                archive.write(file, f"{name}/{file.relative_to(folder).as_posix()}")


def sent(path: Path, name: str, *, is_temporary: bool = False) -> FileResponse:
    done = BackgroundTask(path.unlink, missing_ok=True) if is_temporary else None
    return FileResponse(path, filename=name, media_type="application/octet-stream", background=done)


class NeedsKey:
    """Admits visitors who give the key in the address, and remembers them with a cookie."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app, self.key = app, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        given = request.query_params.get("key")
        if given is not None and hmac.compare_digest(given.encode(), self.key.encode()):
            answer = RedirectResponse("/")
            answer.set_cookie(KEY_COOKIE, self.key, httponly=True, samesite="strict")
        elif hmac.compare_digest(request.cookies.get(KEY_COOKIE, "").encode(), self.key.encode()):
            await self.app(scope, receive, send)
            return
        else:
            answer = JSONResponse({"message": "Open the address with the key that the command printed."}, 403)
        await answer(scope, receive, send)
