"""The network of the desktop: ``QNetworkAccessManager``, so that Slicer's event loop never waits for it."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote, urlsplit

import qt
from slicer.i18n import tr as _

from VILAM3SlicerLib.chat.interfaces import End, Host
from VILAM3SlicerLib.connection.address import BackendAddress
from VILAM3SlicerLib.connection.consent import ScanGate
from VILAM3SlicerLib.connection.diagnosis import Cause, connection_error
from VILAM3SlicerLib.connection.http import Http, HttpAnswer, HttpRequest, Receiver
from VILAM3SlicerLib.connection.settings import Access
from VILAM3SlicerLib.connection.upload_file import write_upload
from VILAM3SlicerLib.protocol.errors import InvalidRequest, VilaM3Error

IN_MEMORY = 1_000_000
"""Bytes of a body up to which it is handed over at once; a longer one goes by way of a file."""
READ_BUFFER = 4_000_000

_CANCELLED, _CLOSED, _TLS = 5, 2, 6
_CAUSES: dict[int, Cause] = {
    1: "refused",
    _CLOSED: "closed",
    3: "unknown_host",
    4: "timed_out",
    _CANCELLED: "closed",
    _TLS: "tls",
}
"""Qt's ``QNetworkReply::NetworkError`` below the proxy's (101 to 199) and the answers' (from 201 on)."""


class QtHttp(Http):
    """Implements ``connection.http.Http``; use it on the user interface's thread only."""

    def __init__(self, access: Access, gate: ScanGate, host: Host) -> None:
        """Raises InvalidRequest where the CA file or the proxy cannot be used."""
        super().__init__(access.address, gate)
        self._key = access.key
        self._host = host
        self._tls = _tls_configuration(access.ca_file)
        self._manager = qt.QNetworkAccessManager()
        proxy = _proxy(access)
        self._manager.setProxy(proxy)
        self.has_proxy = int(proxy.type()) != int(qt.QNetworkProxy.NoProxy)
        self._exchanges: set[_Exchange] = set()
        self._is_closing = False

    def close(self) -> None:
        """End what still runs; its receivers are told that the connection was lost."""
        self._is_closing = True
        for exchange in tuple(self._exchanges):
            exchange.abort()

    def _transmit(self, request: HttpRequest, receiver: Receiver) -> End:
        exchange = _Exchange(self, request, receiver)
        self._exchanges.add(exchange)
        if request.body is None:
            exchange.send(b"")
        elif request.length is not None and request.length <= IN_MEMORY:
            exchange.send(b"".join(bytes(piece) for piece in request.body))
        else:
            pieces = request.body
            self._host.in_background(lambda: write_upload(pieces), exchange.send_file, exchange.fail)
        return exchange.abort

    def ended(self, exchange: _Exchange) -> None:
        """Forget an exchange."""
        self._exchanges.discard(exchange)

    def remove_later(self, path: str) -> None:
        """Delete a file in the background: the file system takes its time over a large one."""
        if self._is_closing:  # nobody may be there any more to wait for a thread
            os.unlink(path)
        else:
            self._host.in_background(lambda: os.unlink(path), lambda _: None, lambda _: None)

    def reply_to(self, request: HttpRequest, body: Any) -> Any:
        """The ``QNetworkReply`` to a request; ``body`` is a QByteArray or an open QFile."""
        prepared = self._prepared(request)
        match request.method:
            case "GET":
                return self._manager.get(prepared)
            case "HEAD":
                return self._manager.head(prepared)
            case "DELETE":
                return self._manager.deleteResource(prepared)
            case "PUT":
                return self._manager.put(prepared, body)
            case "POST":
                return self._manager.post(prepared, body)

    def _prepared(self, request: HttpRequest) -> Any:
        prepared = qt.QNetworkRequest(qt.QUrl(self.address.url + request.path))
        manual = int(qt.QNetworkRequest.ManualRedirectPolicy)
        prepared.setAttribute(qt.QNetworkRequest.RedirectPolicyAttribute, manual)
        if self._key:
            prepared.setRawHeader(b"Authorization", f"Bearer {self._key}".encode())
        if request.body is not None or request.method == "POST":
            prepared.setRawHeader(b"Content-Type", request.content_type.encode())
        if self._tls is not None:
            _trust(prepared, self._tls)
        return prepared


class _Exchange:
    """One request and its answer; tells its receiver once how it ended."""

    def __init__(self, http: QtHttp, request: HttpRequest, receiver: Receiver) -> None:
        self._http = http
        self._request = request
        self._receiver = receiver
        self._reply: Any = None
        self._upload: Any = None
        self._pieces: list[bytes] = []
        self._tls_detail = ""
        self._is_late = False
        self._is_over = False
        self._trouble: VilaM3Error | None = None
        self._patience = qt.QTimer()
        self._patience.setSingleShot(True)
        self._patience.setInterval(round(1000 * request.patience))
        self._patience.connect("timeout()", self._lose_patience)

    def send(self, body: bytes) -> None:
        """Send with a short body."""
        self._watch(self._http.reply_to(self._request, qt.QByteArray(body)))

    def send_file(self, path: str) -> None:
        """Send with a body that was written to a file, which is removed afterwards."""
        if self._is_over:
            self._http.remove_later(path)
            return
        self._upload = qt.QFile(path)
        self._upload.open(qt.QIODevice.ReadOnly)
        self._watch(self._http.reply_to(self._request, self._upload))

    def fail(self, error: VilaM3Error) -> None:
        """There is nothing to send."""
        if self._is_over:
            return
        self._end()
        self._receiver.on_error(error)

    def abort(self) -> None:
        """End it from our side."""
        if self._is_over:
            return
        if self._reply is not None and self._reply.isRunning():
            self._reply.abort()
        else:
            self.fail(connection_error("closed", self._http.address))

    def _watch(self, reply: Any) -> None:
        self._reply = reply
        reply.setReadBufferSize(READ_BUFFER)
        reply.connect("readyRead()", self._read)
        reply.connect("uploadProgress(qint64,qint64)", self._go_on)
        reply.connect("sslErrors(QList<QSslError>)", self._note_tls)
        reply.connect("finished()", self._finished)
        self._patience.start()

    def _go_on(self, sent: int, total: int) -> None:
        """Qt tells this ten times a second at most, and once more, of nothing, at the end."""
        self._patience.start()
        if self._receiver.on_sent is not None and total > 0:
            self._receiver.on_sent(sent, total)

    def _lose_patience(self) -> None:
        self._is_late = True
        self._reply.abort()

    def _read(self) -> None:
        """Take what has come; a piece that is no event ends the exchange."""
        self._patience.start()
        piece = self._reply.readAll().data()
        if not piece or self._trouble is not None:
            return
        if self._receiver.on_piece is None or not 200 <= self._status < 300:
            self._pieces.append(piece)
            return
        try:
            self._receiver.on_piece(piece)
        except VilaM3Error as error:
            self._trouble = error
            self._reply.abort()

    @property
    def _status(self) -> int:
        return int(self._reply.attribute(qt.QNetworkRequest.HttpStatusCodeAttribute) or 0)

    def _finished(self) -> None:
        if self._is_over:
            return
        if int(self._reply.error()) != _CANCELLED:
            self._read()
        error = self._error()
        status = self._status
        self._end()
        if error is None:
            self._receiver.on_answer(HttpAnswer(status, b"".join(self._pieces)))
        else:
            self._receiver.on_error(error)

    def _error(self) -> VilaM3Error | None:
        if self._trouble is not None:
            return self._trouble
        code = int(self._reply.error())
        if self._status and (code == 0 or code > 200):
            return None
        if self._is_late:
            return connection_error("timed_out", self._http.address)
        detail = self._tls_detail or str(self._reply.errorString())
        return connection_error(self._cause(code), self._http.address, detail)

    def _cause(self, code: int) -> Cause:
        """With a proxy, who refuses is the proxy."""
        cause = _CAUSES.get(code, "unreachable")
        is_proxy = 100 < code < 200 or (self._http.has_proxy and cause in ("refused", "unknown_host"))
        return "proxy" if is_proxy else cause

    def _note_tls(self, errors: Any) -> None:
        """Certificates are never let through; why one was refused is told."""
        self._tls_detail = ", ".join(str(error.errorString()) for error in errors)

    def _end(self) -> None:
        self._is_over = True
        self._patience.stop()
        self._http.ended(self)
        if self._reply is not None:
            self._reply.deleteLater()
        self._patience.deleteLater()  # its signal holds this exchange, which would live on with all it sent
        if self._upload is not None:
            self._upload.close()
            self._http.remove_later(str(self._upload.fileName()))


def _tls_configuration(ca_file: str) -> Any:
    """The system's authorities and those of the file; None where the system's are all.

    Raises:
        InvalidRequest: there is no certificate in the file.
    """
    if not ca_file:
        return None
    certificates = list(qt.QSslCertificate.fromPath(ca_file) or [])
    if not certificates:
        raise InvalidRequest(
            _("There is no certificate in the CA file {file}.").format(file=ca_file),
            _("Name a PEM file."),
            "ca_file_unusable",
        )
    configuration = qt.QSslConfiguration.defaultConfiguration()
    known = configuration.caCertificates() or qt.QSslConfiguration.systemCaCertificates()
    configuration.setCaCertificates([*known, *certificates])
    return configuration


def _trust(prepared: Any, configuration: Any) -> None:
    """Older Slicers do not offer Qt's setter for one request: there the CA file holds until Slicer ends."""
    if hasattr(prepared, "setSslConfiguration"):
        prepared.setSslConfiguration(configuration)
    else:
        qt.QSslConfiguration.setDefaultConfiguration(configuration)


def _proxy(access: Access) -> Any:
    """None for this machine, the one of the settings, or the system's."""
    if access.address.is_loopback:
        return qt.QNetworkProxy(qt.QNetworkProxy.NoProxy)
    if access.proxy:
        return _named_proxy(access.proxy)
    return _system_proxy(access.address)


def _named_proxy(text: str) -> Any:
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port or 8080
    except ValueError:
        port = 0
    if not parts.hostname or not port:
        named = text.rpartition("@")[2]  # without a password
        raise InvalidRequest(
            _("The proxy {name} cannot be used.").format(name=named),
            _("Write http://name:port."),
            "proxy_unusable",
        )
    kind = qt.QNetworkProxy.Socks5Proxy if parts.scheme.startswith("socks") else qt.QNetworkProxy.HttpProxy
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return qt.QNetworkProxy(kind, parts.hostname, port, user, password)


def _system_proxy(address: BackendAddress) -> Any:
    found = qt.QNetworkProxyFactory.systemProxyForQuery(qt.QNetworkProxyQuery(qt.QUrl(address.url)))
    return found[0] if found else qt.QNetworkProxy(qt.QNetworkProxy.NoProxy)
