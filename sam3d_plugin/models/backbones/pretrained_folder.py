"""Backbones from folders of exported encoders and from Hugging Face's hub."""
import re
from pathlib import Path
from typing import Any, Dict, Optional, Union

from mmengine.logging import print_log
from mmengine.model import BaseModule

from sam3d_plugin.store.checkpoint import read_checkpoint
from sam3d_plugin.store.encoder_folder import (NAMES, copy_encoder_folder,
                                               is_encoder_folder,
                                               read_settings)
from sam3d_plugin.store.errors import UserError
from sam3d_plugin.store.extras import how_to_install
from sam3d_plugin.store.loading import LoadReport
from sam3d_plugin.store.state_names import extract_state_dict

# Arguments of a backbone that the folder knows.
_ARGUMENTS = ('tokenizer', 'embedding', 'encoder', 'center')
# Arguments of a download.
_HUB = ('revision', 'token', 'cache_dir', 'force_download', 'local_files_only')


class PretrainedFolder(BaseModule):
    """A backbone that folders of tools/export_backbone.py are loaded into.

    Names of repositories on the hub need the extra ``hub``; a folder does not.
    """

    load_report: Optional[LoadReport]

    @classmethod
    def from_pretrained(cls, source: Union[str, Path], **settings: Any) -> Any:
        """Build a backbone with a pre-trained encoder, strictly loaded.

        Args:
            source (Union[str, Path]): Folder of tools/export_backbone.py, or
                name of such a repository on the hub, as in ``user/name``.
            **settings (Any): Arguments of the class over those of the folder,
                such as another ``tokenizer`` or ``out_channels`` (none by
                default, so that features are those of the encoder). For the
                hub also ``revision``, ``token``, ``cache_dir``,
                ``force_download`` and ``local_files_only``.

        Returns:
            Any: The backbone, in evaluation mode.

        Raises:
            CheckpointError: When a tensor is missing or has another shape.
            UserError: When the folder is missing, and it cannot be a name of
                the hub, the hub does not have it or huggingface_hub is not
                installed.

        Examples:
            >>> from sam3d_plugin.models import PointTokenBackbone
            >>> encoder = PointTokenBackbone.from_pretrained(
            ...     'work_dirs/pretraining/encoder')
            >>> encoder.load_report.missing
            ()
        """
        path = Path(source).expanduser()
        if path.is_dir():
            return cls.from_folder(path, settings)
        if not _may_be_on_hub(source):
            raise UserError(f'{source} is not the folder of an encoder: name '
                            'one that tools/export_backbone.py wrote')
        options = {k: settings.pop(k) for k in _HUB if k in settings}
        try:
            folder = _download(str(source), **options)
        except UserError:
            raise
        except (OSError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f'{source} is not a folder, and the hub does not give it '
                f'({reason[:70]}); check name, token and network') from error
        return cls.from_folder(Path(folder), settings)

    @classmethod
    def from_folder(cls, folder: Path, settings: Dict[str, Any]) -> Any:
        """:meth:`from_pretrained` of a local folder."""
        if not is_encoder_folder(folder):
            raise UserError(f'{folder} is not the folder of an encoder: it '
                            'has no config.json; name one that '
                            'tools/export_backbone.py wrote')
        known = read_settings(folder)
        arguments = {key: known[key] for key in _ARGUMENTS if key in known}
        if 'center' not in {**arguments, **settings}:
            print_log(
                f'{folder} does not say where its points were counted from: '
                "they are taken as they are; center='floor' is the usual",
                logger='current')
        backbone: Any = cls(**dict(arguments, out_channels=None) | settings)
        backbone.load_encoder(
            dict(
                type='Pretrained',
                checkpoint=str(folder),
                any_tokenizer='tokenizer' in settings))
        return backbone.eval()

    def save_pretrained(self, folder: Union[str, Path]) -> None:
        """Copy the folder that the encoder was loaded from, with its card.

        Args:
            folder (Union[str, Path]): Made where it is missing.

        Raises:
            UserError: When the encoder is not from a folder, or has been
                trained since, so that the card would not be true.
        """
        copy_encoder_folder(self._own_folder(), folder)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Publish the folder that the encoder was loaded from.

        Args:
            repo_id (str): Name of the repository, as in ``user/name``.
            **options (Any): Of huggingface_hub's ``push_to_hub``, such as
                ``private``, ``token``, ``branch`` and ``commit_message``.

        Returns:
            str: Address of the commit.

        Raises:
            UserError: As :meth:`save_pretrained`, or when huggingface_hub is
                not installed.
        """
        self._own_folder()
        return _hub_class(type(self),
                          repo_id)(self).push_to_hub(repo_id, **options)

    def _own_folder(self) -> str:
        """The folder that still holds this encoder."""
        if self.load_report is None or not is_encoder_folder(
                self.load_report.source):
            raise UserError(
                'this backbone was not loaded from the folder of an encoder: '
                'write one with tools/export_backbone.py --out FOLDER, and '
                'load that')
        source = self.load_report.source
        state, own = extract_state_dict(read_checkpoint(source),
                                        source), self.state_dict()
        changed = [
            name for name in self.load_report.matched
            if not own[name].cpu().equal(state[name])
        ]
        if changed:
            raise UserError(
                f'{len(changed)} tensors, such as {changed[0]}, have changed '
                f'since {source} was loaded: its card does not describe them')
        return source


def _may_be_on_hub(source: Union[str, Path]) -> bool:
    """Whether a name may be one of the hub, and not that of a path."""
    owner = str(source).partition('/')[0]
    return (isinstance(source, str)
            and re.fullmatch(r'(\w[\w.-]*/)?\w[\w.-]*', source) is not None
            and Path(source).suffix not in ('.pth', '.pt', '.safetensors')
            and not Path(owner).exists())


def _import_hub(source: str) -> Any:
    """huggingface_hub; not above, since training does not import it."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(
            f'{source} is not a folder, and the hub needs huggingface_hub: '
            f'{how_to_install("hub")}') from error
    return huggingface_hub


def _download(source: str, **options: Any) -> str:
    """Folder of an encoder from the hub or its cache, asked for once."""
    return _import_hub(source).snapshot_download(
        source, allow_patterns=list(NAMES), **options)


def _hub_class(backbone: Any, source: str) -> Any:
    """huggingface_hub's mixin around a class of backbones."""

    class HubEncoder(_import_hub(source).ModelHubMixin):  # type: ignore[misc]
        """What the hub stores is the folder of the encoder."""

        def __init__(self, published: PretrainedFolder) -> None:
            self.published = published

        def _save_pretrained(self, save_directory: Path) -> None:
            self.published.save_pretrained(save_directory)

        @classmethod
        def _from_pretrained(cls, *, model_id: str, revision: Optional[str],
                             cache_dir: Any, force_download: bool,
                             local_files_only: bool, token: Any,
                             **settings: Any) -> Any:
            folder = model_id if Path(model_id).is_dir() else _download(
                model_id,
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token)
            return backbone.from_folder(Path(folder), settings)

    return HubEncoder
