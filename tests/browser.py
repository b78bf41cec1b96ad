"""A page in a real browser."""
import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest
import requests

from .processes import free_port


class Browser:
    """Headless Chromium, by the W3C's WebDriver protocol."""

    def __init__(self, driver, log):
        port = free_port()
        self.url, self.http = f'http://127.0.0.1:{port}', requests.Session()
        self.http.trust_env = False
        self.process = subprocess.Popen([driver, f'--port={port}'],
                                        stdout=log,
                                        stderr=log)

    def start(self):
        """Open a window."""
        while self.process.poll() is None:
            try:
                self.http.get(f'{self.url}/status', timeout=60)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        # Chromium refuses a sandbox to root, and a container's /dev/shm is
        # small.
        options = dict(args=[
            '--headless=new', '--no-sandbox', '--disable-dev-shm-usage',
            '--window-size=1200,1400'
        ])
        capabilities = dict(alwaysMatch={'goog:chromeOptions': options})
        answer = self.http.post(
            f'{self.url}/session', json=dict(capabilities=capabilities))
        if not answer.ok:  # as in a container that forbids its processes
            pytest.skip(f'Chromium does not start here: {answer.text[:300]}')
        self.url += f'/session/{answer.json()["value"]["sessionId"]}'

    def send(self, command, **body):
        """What a command returns."""
        answer = self.http.post(f'{self.url}/{command}', json=body)
        assert answer.ok, answer.text
        return answer.json()['value']

    def open(self, url, width):
        """Show a page in a window so wide, pixels, as a phone's may be."""
        metrics = dict(
            width=width, height=1400, deviceScaleFactor=1, mobile=False)
        self.send(
            'goog/cdp/execute',
            cmd='Emulation.setDeviceMetricsOverride',
            params=metrics)
        self.send('url', url=url)

    def run(self, script):
        """What a line of JavaScript returns."""
        return self.send('execute/sync', script=f'return {script}', args=[])

    def wait_for(self, script):
        """Wait until a line of JavaScript returns something true."""
        end = time.monotonic() + 100
        while not (found := self.run(script)):
            assert time.monotonic() < end, self.run('document.body.innerText')
            time.sleep(0.2)
        return found

    def fill(self, css, text):
        """Type a text, or the path of a file, into an element."""
        found = self.send('element', using='css selector', value=css)
        self.send(f'element/{list(found.values())[0]}/value', text=text)


@contextmanager
def open_browser(log_path):
    """A window of Chromium; skips where there is none."""
    driver = shutil.which('chromedriver')
    if driver is None:
        pytest.skip('needs Chromium: apt-get install chromium-driver')
    with open(log_path, 'w') as log:
        browser = Browser(driver, log)
        try:
            browser.start()
            yield browser
            browser.http.delete(browser.url)
        finally:
            browser.process.terminate()
            browser.process.wait(60)
