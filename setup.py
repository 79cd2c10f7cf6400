"""Puts `export/web/` into the package that is built.

The page belongs to the far side of an export, beside what phones and servers
need, and `keras-albert export --web` copies it from an installed package.
"""

import pathlib
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py

PAGE = pathlib.Path(__file__).parent / "export" / "web"


class BuildWithPage(build_py):
    """Copies the page, without what npm installed there."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        target = pathlib.Path(self.build_lib, "keras_albert", "export", "web")
        target.mkdir(parents=True, exist_ok=True)
        for path in PAGE.iterdir():
            if path.is_file():
                shutil.copyfile(path, target / path.name)


setup(cmdclass={"build_py": BuildWithPage})
